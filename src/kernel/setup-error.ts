/**
 * Something that whoever runs Flash can put right; the message says what to do, without a stack.
 */
export class SetupError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SetupError';
  }
}
