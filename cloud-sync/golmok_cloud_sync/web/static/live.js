// Server-sent events that heal by themselves: a lost or silent connection is opened again, with growing patience.
// EventSource is not used because it can carry no token and does not notice a connection that has gone dead.

const SILENCE_MS = 40_000; // the server says at least a comment every 15 s
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8_000;

async function* events(body, alive) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    alive();
    const blocks = (held + chunk.value).split("\n\n");
    held = blocks.pop();
    for (const block of blocks) {
      const field = (name) => block.match(new RegExp(`^${name}: ?(.*)$`, "m"))?.[1];
      if (field("data")) yield [field("event"), JSON.parse(field("data"))];
    }
  }
}

// Calls on.<event>(data) for each event, and state("open" | "lost" | "refused", answer) when the connection changes.
export async function live(url, { headers = {}, on, state }) {
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
    const abort = new AbortController();
    let timer;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => abort.abort(), SILENCE_MS);
    };
    try {
      alive();
      const answer = await fetch(url, { headers, signal: abort.signal, cache: "no-store" });
      if (answer.status >= 400 && answer.status < 429) return state("refused", answer);
      if (answer.ok) {
        state("open", answer);
        wait = FIRST_WAIT_MS;
        for await (const [name, data] of events(answer.body, alive)) on[name]?.(data);
      }
    } catch (error) {
      if (!(error instanceof TypeError || error.name === "AbortError")) throw error; // only the network's own errors
    } finally {
      clearTimeout(timer);
    }
    state("lost");
    await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random())));
  }
}
