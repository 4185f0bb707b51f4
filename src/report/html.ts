/** Text as it may stand in an element or in a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}

/**
 * Text that may stand in a script element: nothing in it ends the element or opens a comment. JSON and
 * JavaScript read the escape as the character itself wherever it is inside a string.
 */
export function escapeScript(text: string): string {
  return text.replace(/<(?=\/script|!--)/gi, '\\u003C');
}
