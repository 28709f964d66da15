/** A frame: four bytes of length (big-endian), then that many bytes of msgpack. */
import { decode, encode } from "./msgpack.ts";

/** What the supervisor may send at most. */
export const frameBytesMax = 16 * 1024 * 1024;

export function frame(value: unknown): Buffer {
  const body = encode(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

/** Puts chunks together again. Throws on a frame that is too long or no msgpack: the line is unusable then. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #bytes = 0;

  *push(chunk: Buffer): Generator {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    while (this.#bytes >= 4) {
      const length = this.#peek(4).readUInt32BE();
      if (length > frameBytesMax) throw new RangeError(`a frame of ${length} bytes`);
      if (this.#bytes < length + 4) return;
      const whole = this.#peek(length + 4);
      const rest = (this.#chunks[0] ?? whole).subarray(length + 4);
      this.#chunks = [rest, ...this.#chunks.slice(1)];
      this.#bytes -= length + 4;
      yield decode(whole.subarray(4));
    }
  }

  /** The first bytes in one piece, so that they are copied once at most. */
  #peek(bytes: number): Buffer {
    const first = this.#chunks[0];
    if (first !== undefined && first.length >= bytes) return first.subarray(0, bytes);
    this.#chunks = [Buffer.concat(this.#chunks)];
    return (this.#chunks[0] ?? Buffer.alloc(0)).subarray(0, bytes);
  }
}
