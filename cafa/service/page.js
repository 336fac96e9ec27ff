// The line below a player follows it, and a click on the line moves the player.
(() => {
  const parts = (inside) => {
    const take = inside.closest && inside.closest(".cafa-take");
    return take && { video: take.querySelector("video"), line: take.querySelector(".cafa-line"),
      now: take.querySelector(".cafa-now"), seconds: Number(take.dataset.seconds) };
  };
  const follow = (event) => {
    const take = parts(event.target);
    if (!take) return;
    const share = Math.min(1, take.video.currentTime / take.seconds);
    take.now.style.left = `${100 * share}%`;
    take.line.setAttribute("aria-valuenow", take.video.currentTime.toFixed(2));
  };
  for (const name of ["timeupdate", "seeked", "play"]) document.addEventListener(name, follow, true);
  document.addEventListener("click", (event) => {
    const line = event.target.closest && event.target.closest(".cafa-line");
    if (!line) return;
    const take = parts(line), box = line.getBoundingClientRect();
    take.video.currentTime = take.seconds * Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  });
  document.addEventListener("keydown", (event) => {
    if (!event.target.classList || !event.target.classList.contains("cafa-line")) return;
    const step = { ArrowLeft: -0.2, ArrowRight: 0.2 }[event.key];
    if (!step) return;
    event.preventDefault();
    const take = parts(event.target);
    take.video.currentTime = Math.max(0, Math.min(take.seconds, take.video.currentTime + step));
  });
})();
