import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { reasonOf, UsageError } from '../errors.js';
import type { SkippedFile } from './imageStore.js';

/** File name extensions, lower case, that count as images: what sharp decodes, other than vector graphics. */
export const imageExtensions: readonly string[] = [
  ...['.jpg', '.jpeg', '.jpe', '.jfif', '.jif', '.jfi', '.pjpeg', '.pjp'],
  ...['.png', '.apng', '.webp', '.gif', '.avif', '.tif', '.tiff'],
];

/** Extensions of images that are not decoded. NOTE: SVG would be, but is of no size and no photograph. */
const otherExtensions: ReadonlySet<string> = new Set(
  `
    .bmp .dib .heic .heif .hif .jxl .jp2 .j2k .j2c .jpx .jpf .jpm .jxr .wdp .hdp .svg .svgz .eps
    .psd .psb .xcf .tga .pcx .ico .cur .dds .exr .hdr .ppm .pgm .pbm .pnm .pam .pfm .btf .avifs .bpg
    .fits .fit .fts .dcm .dicom .nii .svs .ndpi .mrxs .scn .vms .bif .czi .lif .nd2 .dng .cr2 .cr3
    .crw .nef .nrw .arw .srf .sr2 .orf .rw2 .raf .pef .srw .x3f .3fr .iiq .rwl
  `
    .trim()
    .split(/\s+/),
);

/** Folders that systems and programs put beside images, lower case: thumbnails, what was deleted, metadata. */
const systemFolders: ReadonlySet<string> = new Set([
  ...['@eadir', '#recycle', '#snapshot', '@recycle', '@recently-snapshot', '@sharebin', '@tmp', '~snapshot'],
  ...['__macosx', '.appledouble', '.trashes', '.spotlight-v100', '.fseventsd', '.temporaryitems', '.trash'],
  ...['network trash folder', 'temporary items', '.thumbnails', '.thumbs', '.@__thumb', '.picasaoriginals'],
  ...['$recycle.bin', 'recycler', 'recycled', 'system volume information', 'lost+found', '.trash-1000'],
]);

/** What a folder, or shards, hold beside their images. */
export interface IgnoredFiles {
  /** Files that are images by their extension, of those that are not decoded: `.bmp` and how many. */
  readonly extensions: ReadonlyMap<string, number>;
  /** Folders of systems and programs by name: `@eaDir` and how many. */
  readonly folders: ReadonlyMap<string, number>;
  /** Files that are images by their extension, and have names that begin with a dot. */
  readonly hidden: number;
  /** Of shards: files that are neither an image nor its class, by extension: `.json` and how many. */
  readonly others?: ReadonlyMap<string, number>;
}

export interface FolderListing {
  /** Paths relative to the folder with forward slashes, sorted by code unit. */
  readonly files: string[];
  /** What cannot be entered or opened by its name. */
  readonly skipped: SkippedFile[];
  readonly ignored: IgnoredFiles;
}

export interface ListingOptions {
  /** Called with the number of images found so far, after each folder. */
  readonly onFolder?: (found: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Find what is an image by its extension below `root`, at any depth. Names that begin with a dot and folders of
 * systems are ignored. Links are followed; in one class, a folder of `root`, every folder counts once.
 * @throws UsageError when `root` is not a folder that can be read.
 */
export async function listFolder(root: string, options: ListingOptions = {}): Promise<FolderListing> {
  const walk = new Walk(root, options);
  try {
    await walk.visit('', await realpath(root), new Set(), new Set());
  } catch (cause) {
    options.signal?.throwIfAborted();
    throw new UsageError(`${root} is not a folder of images that can be read: ${reasonOf(cause)}`, { cause });
  }
  walk.files.sort();
  return walk;
}

class Walk implements FolderListing {
  readonly files: string[] = [];
  readonly skipped: SkippedFile[] = [];
  readonly #extensions = new Map<string, number>();
  readonly #folders = new Map<string, number>();
  #hidden = 0;

  constructor(
    private readonly root: string,
    private readonly options: ListingOptions,
  ) {}

  get ignored(): IgnoredFiles {
    return { extensions: this.#extensions, folders: this.#folders, hidden: this.#hidden };
  }

  /**
   * @param relative path of a folder, '' for the root
   * @param real where it is
   * @param above where the folders are that it is in: a link to one of them would not end
   * @param inClass where the folders of its class are that have been visited
   */
  async visit(
    relative: string,
    real: string,
    above: ReadonlySet<string>,
    inClass: Set<string>,
  ): Promise<void> {
    const { onFolder, signal } = this.options;
    signal?.throwIfAborted();
    const entries = await readdir(join(this.root, relative), { withFileTypes: true });
    // The order of a directory differs between file systems.
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    const here = new Set(above).add(real);
    for (const entry of entries) {
      const path = relative === '' ? entry.name : `${relative}/${entry.name}`;
      try {
        const folder = await this.#folderOf(entry, path, real);
        const visited = relative === '' ? new Set<string>() : inClass;
        if (folder === null || here.has(folder) || visited.has(folder)) continue;
        await this.visit(path, folder, here, visited.add(folder));
      } catch (error) {
        signal?.throwIfAborted();
        this.skipped.push({ path, reason: nameReason(error, path) });
      }
    }
    onFolder?.(this.files.length);
  }

  /** Where the folder is that an entry is or links to; of everything else notes what it is, and gives null. */
  async #folderOf(entry: Dirent, path: string, parent: string): Promise<string | null> {
    const { name } = entry;
    const extension = extname(name).toLowerCase();
    const isImage = imageExtensions.includes(extension);
    let isFolder = entry.isDirectory();
    let isFile = entry.isFile();
    // A link is taken for what its name says, or else looked up, as is what has no type on some file systems.
    const isLink = entry.isSymbolicLink();
    const isUnknown = !isFolder && !isFile && !isLink;
    if ((isLink && !isImage && !name.startsWith('.')) || isUnknown) {
      const status = await stat(join(this.root, path));
      isFolder = status.isDirectory();
      isFile = status.isFile();
    }
    if (isFolder) {
      const isSystem = systemFolders.has(name.toLowerCase()) || name.toLowerCase().startsWith('.trash-');
      if (isSystem) count(this.#folders, name);
      if (isSystem || name.startsWith('.')) return null;
      return isLink ? realpath(join(this.root, path)) : join(parent, name);
    }
    if (!isFile && !isLink) return null;
    if (name.startsWith('.')) {
      if (isImage) this.#hidden++;
    } else if (isImage) {
      if (name.includes(replacement)) await this.#checkName(path);
      this.files.push(path);
    } else if (otherExtensions.has(extension)) {
      count(this.#extensions, extension);
    }
    return null;
  }

  /** Throws where a name with a replacement character is not the file's own, so that it cannot be opened by it. */
  async #checkName(path: string): Promise<void> {
    await stat(join(this.root, path));
  }
}

function nameReason(error: unknown, path: string): string {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' && path.includes(replacement) ? 'its name is not UTF-8' : reasonOf(error);
}

/** What stands for bytes that are not UTF-8. */
const replacement = '\ufffd';

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
