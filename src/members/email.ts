/** The one form in which addresses are kept and compared: trimmed, NFC, lower case. */
export const normaliseEmail = (address: string): string =>
  address.trim().normalize('NFC').toLowerCase();
