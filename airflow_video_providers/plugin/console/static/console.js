// The pages work without this. It takes Airflow's theme from the page around, leads out of its frame, and tries a clip
// once more through the server where the browser cannot reach the storage.
"use strict";
(() => {
  const around = (() => { try { return window.parent !== window && window.parent.document ? window.parent : null; } catch { return null; } })();
  const own = document.documentElement;
  const taken = {
    "--bg": "--chakra-colors-bg", "--bg-subtle": "--chakra-colors-bg-subtle", "--bg-muted": "--chakra-colors-bg-muted",
    "--fg": "--chakra-colors-fg", "--border": "--chakra-colors-border", "--font": "--chakra-fonts-body", "--mono": "--chakra-fonts-mono",
  };
  const dress = () => {
    const root = around ? around.document.documentElement : null;
    let dark = null;
    if (root) dark = root.classList.contains("dark");
    else { try { const kept = localStorage.getItem("theme"); if (kept === "dark" || kept === "light") dark = kept === "dark"; } catch { /* no storage */ } }
    if (dark !== null) own.dataset.theme = dark ? "dark" : "light";
    if (!root) return;
    const style = around.getComputedStyle(root);
    for (const [ours, theirs] of Object.entries(taken)) {
      const value = style.getPropertyValue(theirs).trim();
      if (value) own.style.setProperty(ours, value);
    }
  };
  dress();
  if (around) new around.MutationObserver(dress).observe(around.document.documentElement, { attributes: true, attributeFilter: ["class"] });

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-out]");
    if (!link || !around || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    const leader = around.document.createElement("a");
    leader.href = link.href;
    leader.target = link.target;
    leader.rel = "noopener noreferrer";
    leader.click();
  });

  for (const video of document.querySelectorAll("video, audio")) {
    video.addEventListener("error", async () => {
      const said = video.parentElement.querySelector("[role=status]");
      const through = video.src.includes("through=server") ? video.src : `${video.src}&through=server`;
      if (through !== video.src) { video.src = through; return; }
      const answer = await fetch(through, { headers: { Range: "bytes=0-0" } }).catch(() => null);
      said.textContent = answer && answer.status >= 400 ? await answer.text() : "This browser cannot play the clip. Download it instead.";
    });
  }

  for (const all of document.querySelectorAll("input[data-all]")) {
    all.addEventListener("change", () => { for (const one of all.form.elements.who.length ? all.form.elements.who : [all.form.elements.who]) one.checked = all.checked; });
  }

  const again = Number(document.body.dataset.again);
  if (again) setInterval(() => { if (!document.hidden && document.activeElement === document.body) location.reload(); }, again * 1000);
})();
