/** Frames on a byte stream: four bytes of length, then that many of msgpack. The length is checked before anything is kept. */
import { decode, encode, FrameProblem } from "./msgpack.ts";

/** Cuts a stream into frames. `take` throws FrameProblem for a frame that is too long or that cannot be read. */
export class FrameCutter {
  readonly #max: number;
  #chunks: Buffer[] = [];
  #held = 0;

  constructor(bytesMax: number) {
    this.#max = bytesMax;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
  }

  /** The next whole frame, or undefined when more bytes are needed. */
  take(): unknown {
    if (this.#held < 4) return undefined;
    const head = this.#join(4);
    const length = head.readUInt32BE(0);
    if (length > this.#max) throw new FrameTooLong(length, this.#max);
    if (this.#held < 4 + length) return undefined;
    const whole = this.#join(4 + length);
    const frame = decode(whole.subarray(4, 4 + length));
    const rest = whole.subarray(4 + length);
    this.#chunks = rest.length === 0 ? this.#chunks.slice(1) : [rest, ...this.#chunks.slice(1)];
    this.#held -= 4 + length;
    return frame;
  }

  /** The first chunk, made long enough. */
  #join(length: number): Buffer {
    const first = this.#chunks[0];
    if (first !== undefined && first.length >= length) return first;
    const all = Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all;
  }
}

export class FrameTooLong extends FrameProblem {
  readonly length: number;
  constructor(length: number, max: number) {
    super(`a frame of ${String(length)} bytes is over the limit of ${String(max)}`);
    this.name = "FrameTooLong";
    this.length = length;
  }
}

export function frameOf(value: unknown): Buffer {
  const body = encode(value);
  const frame = Buffer.allocUnsafe(4 + body.length);
  frame.writeUInt32BE(body.length, 0);
  body.copy(frame, 4);
  return frame;
}
