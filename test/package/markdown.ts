/** The fenced code blocks of a Markdown text in one language, such as `ts`. */
export function codeBlocks(markdown: string, language: string): string[] {
  const fence = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms');
  return [...markdown.matchAll(fence)].map(([, code]) => code!);
}

/** Targets of its links and pictures that are not addresses of the web. */
export function relativeLinks(markdown: string): string[] {
  const links = withoutCode(markdown).matchAll(/\]\(([^)\s]+)\)|<img[^>]* src="([^"]+)"/g);
  return [...links]
    .map(([, link, picture]) => (link ?? picture)!)
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** The anchors of its headings, as GitHub and npm name them. */
export function anchors(markdown: string): string[] {
  return [...withoutCode(markdown).matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/ /g, '-'),
  );
}

function withoutCode(markdown: string): string {
  return markdown
    .replace(/^```.*?^```$/gms, '')
    .replace(/`[^`\n]*`/g, (code) => code.slice(1, -1).replace(/[[\]()]/g, ''));
}
