import { text } from '../kernel/input.ts';

const MAX_EMAIL = 254; // RFC 5321, section 4.5.3.1.3, less the angle brackets

/** The one form in which addresses are kept and compared: trimmed, NFC, lower case. */
export const normaliseEmail = (address: string): string =>
  address.trim().normalize('NFC').toLowerCase();

/** An address that somebody sent, in that form. Whether it is one, the API's scalar has judged. */
export const emailAddress = text(MAX_EMAIL).transform(normaliseEmail);
