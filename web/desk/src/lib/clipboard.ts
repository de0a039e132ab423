/** Copies a text. The clipboard is for secure contexts only: elsewhere (plain http on a LAN) it goes the old way. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const focused = document.activeElement;
    const holder = document.createElement("textarea");
    holder.className = "sr";
    holder.value = text;
    document.body.append(holder);
    holder.select();
    let done = false;
    try {
      done = document.execCommand("copy");
    } catch {
      // Nothing more can be done; the caller says so.
    }
    holder.remove();
    if (focused instanceof HTMLElement) focused.focus();
    return done;
  }
}
