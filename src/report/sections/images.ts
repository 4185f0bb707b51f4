import type { AugmentedImage } from '../augmentedViews.js';
import { escapeHtml } from '../html.js';
import type { SimilarImage, QueryNeighbours } from '../neighbours.js';
import type { Pictures } from '../pictures.js';
import { sentence, type Section } from '../section.js';

/** Training images beside the views that training sees. */
export function viewsSection({ views }: Pictures): Section {
  return {
    id: 'views',
    title: 'What training sees',
    blocks:
      typeof views === 'string'
        ? [sentence(views)]
        : [
            sentence('Training images, each with its views in the first epoch.'),
            { kind: 'html', html: `<div class="views">\n${views.map(renderViews).join('\n')}\n</div>` },
          ],
  };
}

function renderViews({ image, views }: AugmentedImage): string {
  const images = [image, ...views].map((uri, i) => {
    const name = i === 0 ? 'image' : views.length === 1 ? 'view' : `view ${i}`;
    return `<figure><img src="${uri}" alt="${name}"><figcaption>${name}</figcaption></figure>`;
  });
  return `<div>${images.join('')}</div>`;
}

/** The nearest training images of some test images, a row a width. */
export function neighboursSection({ neighbours }: Pictures): Section {
  return {
    id: 'neighbours',
    title: 'Nearest neighbours',
    blocks:
      typeof neighbours === 'string'
        ? [sentence(neighbours)]
        : [
            sentence(
              'Test images and the training images whose features are nearest by cosine, nearest first, a row ' +
                'a width. A frame marks neighbours of the same class; the number counts them.',
            ),
            {
              kind: 'html',
              html: `<div class="queries">\n${neighbours.map(renderQuery).join('\n')}\n</div>`,
            },
          ],
  };
}

function renderQuery({ image, className, widths }: QueryNeighbours): string {
  const rows = widths.map(({ label, neighbours }) => {
    const same = neighbours.filter(({ sameClass }) => sameClass).length;
    const cells = neighbours.map((neighbour) => `<td>${renderNeighbour(neighbour)}</td>`);
    return `<tr><th scope="row">${label}</th>${cells.join('')}<td>${same}/${neighbours.length}</td></tr>`;
  });
  const name = escapeHtml(className);
  return `<section class="query">
<h3><img src="${image}" alt="test image of class ${name}"> ${name}</h3>
<table>${rows.join('')}</table>
</section>`;
}

function renderNeighbour({ image, className, sameClass, cosine }: SimilarImage): string {
  const text = escapeHtml(`${className}, cosine ${cosine.toFixed(3)}`);
  return `<img${sameClass ? ' class="same"' : ''} src="${image}" alt="${text}" title="${text}">`;
}
