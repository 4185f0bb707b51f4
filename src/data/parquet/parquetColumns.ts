import { parquetSchema, type FileMetaData, type SchemaElement, type SchemaTree } from 'hyparquet';
import { z } from 'zod';

/** The columns of a file that are images and their classes. */
export interface ImageColumns {
  /** From the root to the column of the images' bytes; null where there is none. */
  readonly image: readonly { readonly element: SchemaElement }[] | null;
  readonly label: LabelColumn | null;
}

export interface LabelColumn {
  readonly name: string;
  /** What its numbers stand for, that of 0 first; null: nothing but themselves. */
  readonly classes: readonly string[] | null;
}

/** Names of columns, the preferred ones first. */
const imageNames = [
  'image',
  'img',
  'images',
  'bytes',
  'jpg',
  'jpeg',
  'png',
  'webp',
  'picture',
  'photo',
  'content',
];
const labelNames = ['label', 'labels', 'class', 'cls', 'class_name', 'category', 'target', 'fine_label', 'y'];

/** Of what `datasets` of Hugging Face writes beside the schema. */
const featuresSchema = z.object({
  info: z.object({
    features: z.record(
      z.string(),
      z
        .looseObject({
          _type: z.string().optional().catch(undefined),
          names: z
            .union([
              z.array(z.string()),
              z.record(z.string(), z.string()).transform((names) => Object.values(names)),
            ])
            .optional()
            .catch(undefined),
        })
        .catch({}),
    ),
  }),
});

/**
 * Finds the images, a column of type Image (a struct of bytes and path) or else of bytes, and their classes, a column of type ClassLabel, or
 * else of numbers or text that is named like one. Of several the one with the most usual name, or the first.
 */
export function imageColumns(metadata: FileMetaData): ImageColumns {
  const features = featuresOf(metadata);
  const columns = parquetSchema(metadata).children;
  const root = { element: metadata.schema[0]! };
  const typed = (type: string) => columns.filter(({ element }) => features[element.name]?._type === type);
  const images = columns.flatMap((column) => {
    const path = bytesIn(column);
    return path === null ? [] : [{ name: column.element.name, path: [root, ...path] }];
  });
  const areTyped = new Set(typed('Image').map(({ element }) => element.name));
  const image =
    preferred(
      images.filter(({ name, path }) => areTyped.has(name) || path.length === 3),
      imageNames,
    ) ?? preferred(images, imageNames);
  const labels = columns.filter(({ element, children }) => children.length === 0 && isLabel(element));
  const named = labels.filter(({ element }) => labelNames.includes(element.name.toLowerCase()));
  const nameOf = ({ element: { name } }: SchemaTree) => ({ name });
  const label =
    preferred(typed('ClassLabel').map(nameOf), labelNames) ?? preferred(named.map(nameOf), labelNames);
  return {
    image: image?.path ?? null,
    label: label && { name: label.name, classes: features[label.name]?.names ?? null },
  };
}

/** What `datasets` knows of the columns, by name. */
function featuresOf({ key_value_metadata: pairs }: FileMetaData) {
  const text = pairs?.find(({ key }) => key === 'huggingface')?.value;
  if (text === undefined) return {};
  try {
    const parsed = featuresSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data.info.features : {};
  } catch {
    return {};
  }
}

/** The path of the bytes in a column; null where it holds none. */
function bytesIn(column: SchemaTree): { readonly element: SchemaElement }[] | null {
  const isBytes = ({ element, children }: SchemaTree) =>
    children.length === 0 &&
    element.type === 'BYTE_ARRAY' &&
    element.repetition_type !== 'REPEATED' &&
    element.converted_type === undefined &&
    element.logical_type === undefined;
  if (isBytes(column)) return [{ element: column.element }];
  if (column.element.repetition_type === 'REPEATED') return null;
  const bytes = column.children.find((child) => child.element.name === 'bytes' && isBytes(child));
  return bytes ? [{ element: column.element }, { element: bytes.element }] : null;
}

function isLabel({ type, repetition_type, converted_type, logical_type }: SchemaElement): boolean {
  if (repetition_type === 'REPEATED') return false;
  const isText = converted_type === 'UTF8' || logical_type?.type === 'STRING';
  return type === 'INT32' || type === 'INT64' || type === 'BOOLEAN' || (type === 'BYTE_ARRAY' && isText);
}

function preferred<T extends { readonly name: string }>(
  columns: readonly T[],
  names: readonly string[],
): T | null {
  const places = columns.map(({ name }) => names.indexOf(name.toLowerCase()));
  const best = Math.min(...places.filter((place) => place >= 0));
  return columns[Math.max(0, places.indexOf(best))] ?? null;
}
