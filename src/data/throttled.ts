/** Between two messages. */
const milliseconds = 500;

/** Reports about twice a second, the first time after half a second; what is not reported is not worded. */
export function throttled(report: ((message: string) => void) | undefined): (message: () => string) => void {
  let next = performance.now() + milliseconds;
  return (message) => {
    if (!report || performance.now() < next) return;
    next = performance.now() + milliseconds;
    report(message());
  };
}
