/** A server's certificate that vouches for itself: only who was given it trusts it. */
import { generateKeyPairSync, sign } from 'node:crypto';

const SEQUENCE = 0x30;
const [ECDSA_SHA256, COMMON_NAME, ALT_NAME] = ['2a8648ce3d040302', '550403', '551d11'];

/** One value of ASN.1 in the encoding of certificates: what it is, how long, and what is in it. */
function value(tag: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  const size = length < 0x80 ? [length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
}

const sequence = (...parts: Buffer[]) => value(SEQUENCE, ...parts);
const identifier = (hex: string) => value(0x06, Buffer.from(hex, 'hex'));
const ALGORITHM = sequence(identifier(ECDSA_SHA256));

/** PEM of the certificate and its key, for a server of this name. */
export function certificateOf(host: string): { cert: string; key: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const named = sequence(
    value(0x31, sequence(identifier(COMMON_NAME), value(0x0c, Buffer.from(host)))),
  );
  const valid = ['20200101000000Z', '20991231235959Z'].map((at) => value(0x18, Buffer.from(at)));
  const altName = sequence(value(0x82, Buffer.from(host)));
  const extension = sequence(identifier(ALT_NAME), value(0x04, altName));
  const version3 = value(0xa0, value(0x02, Buffer.from([2])));
  const number = value(0x02, Buffer.from([1]));
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const extensions = value(0xa3, sequence(extension));
  const validity = sequence(...valid);
  const body = sequence(version3, number, ALGORITHM, named, validity, named, spki, extensions);
  const signature = value(0x03, Buffer.from([0]), sign('sha256', body, privateKey));
  const der = sequence(body, ALGORITHM, signature);
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  const [begin, end] = ['BEGIN', 'END'].map((word) => `-----${word} CERTIFICATE-----`);
  const cert = [begin, ...lines, end, ''].join('\n');
  return { cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}
