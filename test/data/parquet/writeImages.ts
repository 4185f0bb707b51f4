import { writeFileSync } from 'node:fs';
import { parquetWriteBuffer } from 'hyparquet-writer';

export interface WrittenImages {
  /** Null: a row without an image. */
  readonly images: readonly (Uint8Array | null)[];
  readonly labels?: readonly bigint[] | readonly boolean[];
  /** Of the labels. */
  readonly names?: readonly string[];
  readonly codec?: 'SNAPPY' | 'UNCOMPRESSED';
  readonly rowGroupSize?: number;
  readonly encoding?: 'PLAIN' | 'RLE_DICTIONARY' | 'DELTA_BYTE_ARRAY';
}

/** A Parquet file of images as `datasets` of Hugging Face writes them. */
export function writeImages(path: string, written: WrittenImages): void {
  const { images, labels, names, codec = 'SNAPPY', rowGroupSize = 4, encoding } = written;
  const features = {
    image: { _type: 'Image' },
    ...(names && { label: { names, _type: 'ClassLabel' } }),
  };
  const buffer = parquetWriteBuffer({
    schema: [
      { name: 'schema', num_children: labels ? 2 : 1 },
      ...(labels
        ? [
            {
              name: 'label',
              type: typeof labels[0] === 'boolean' ? 'BOOLEAN' : 'INT64',
              repetition_type: 'OPTIONAL',
            } as const,
          ]
        : []),
      { name: 'image', num_children: 2, repetition_type: 'OPTIONAL' },
      { name: 'bytes', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' },
      { name: 'path', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
    ],
    columnData: [
      ...(labels ? [{ name: 'label', data: [...labels] }] : []),
      {
        name: 'image',
        data: images.map((bytes, i) => ({ bytes, path: `${i}.png` })),
        ...(encoding && { encoding }),
      },
    ],
    codec,
    rowGroupSize,
    pageSize: 2 ** 12,
    ...(names && { kvMetadata: [{ key: 'huggingface', value: JSON.stringify({ info: { features } }) }] }),
  });
  writeFileSync(path, new Uint8Array(buffer));
}
