// The study: consent, instructions, pairs, hand-in. A reload goes on where the rater was.
(async function () {
  "use strict";

  const study = window.STUDY;
  const parameters = new URLSearchParams(window.location.search);
  const rater = parameters.get("rater") || parameters.get("PROLIFIC_PID") || parameters.get("workerId") || stored("rater") ||
    crypto.getRandomValues(new Uint32Array(3)).join("-");
  const place = `${study.study}/${study.digest}/${rater}`;
  store("rater", rater);

  function stored(name) {
    try { return window.localStorage.getItem(`${study.study}/${study.digest}/${name}`); } catch { return null; }
  }

  function store(name, value) {
    try { window.localStorage.setItem(`${study.study}/${study.digest}/${name}`, value); } catch { /* private mode: no resume */ }
  }

  function saved() {
    try { return JSON.parse(window.localStorage.getItem(place)) || {}; } catch { return {}; }
  }

  function save(state) {
    try { window.localStorage.setItem(place, JSON.stringify(state)); } catch { /* private mode: no resume */ }
  }

  function text(...paragraphs) {
    const box = document.createElement("div");
    box.className = "text";
    for (const paragraph of paragraphs) {
      const p = document.createElement("p");
      p.textContent = paragraph;
      box.append(p);
    }
    return box.outerHTML;
  }

  async function chosenSet() {
    const asked = Number(parameters.get("set"));
    if (parameters.has("set") && Number.isInteger(asked) && asked >= 0 && asked < study.sets.length) return asked;
    if (study.receiver) {
      try {
        const answer = await fetch(`${study.receiver}/set?rater=${encodeURIComponent(rater)}`);
        const found = (await answer.json()).set;
        if (Number.isInteger(found) && found < study.sets.length) return found;
      } catch { /* the receiver is away: any set will do */ }
    }
    return Math.floor(Math.random() * study.sets.length);
  }

  const state = saved();
  if (!Number.isInteger(state.set) || state.set >= study.sets.length) {
    Object.assign(state, { set: await chosenSet(), rows: [], begun: new Date().toISOString() });
    save(state);
  }
  const pairs = study.sets[state.set];
  document.title = study.title;

  const jsPsych = initJsPsych({ show_progress_bar: true, auto_update_progress_bar: false, message_progress_bar: "" });

  function showProgress() {
    jsPsych.progressBar.progress = state.rows.length / pairs.length;
    document.querySelector("#jspsych-progressbar-container > span").textContent = `${state.rows.length} of ${pairs.length}`;
  }

  function handIn() {
    return {
      study: study.study, digest: study.digest, rater, set: state.set, asked: pairs.length, begun: state.begun,
      submitted: new Date().toISOString(), screen: [window.innerWidth, window.innerHeight], agent: navigator.userAgent,
      rows: state.rows,
    };
  }

  async function send(answers) {
    const answer = await fetch(`${study.receiver}/answers`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(answers),
    });
    if (!answer.ok) throw new Error((await answer.json()).error || answer.statusText);
  }

  function download(answers) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(answers)], { type: "application/json" }));
    link.download = `${study.study}--${rater.replace(/[^A-Za-z0-9._-]/g, "_")}.json`;
    link.textContent = "Save your answers";
    link.className = "save";
    return link;
  }

  async function end() {
    const answers = handIn();
    const box = document.querySelector(".jspsych-content") || document.body;
    const done = document.createElement("div");
    done.className = "text done";
    const line = document.createElement("p");
    line.setAttribute("role", "status");
    done.append(line);
    box.replaceChildren(done);
    if (!study.receiver) {
      line.textContent = "Thank you. Please save your answers and send the file to the person who invited you.";
      const link = download(answers);
      done.append(link);
      link.click();
      return;
    }
    for (;;) {
      try {
        line.textContent = "Your answers are being sent ...";
        await send(answers);
        break;
      } catch (error) {
        line.textContent = `Your answers could not be sent (${error.message}). Please try again, or save them as a file.`;
        const again = document.createElement("button");
        again.className = "go";
        again.textContent = "Try again";
        done.append(again, " ", download(answers));
        await new Promise((resolve) => again.addEventListener("click", resolve));
        done.replaceChildren(line);
      }
    }
    state.sent = true;
    save(state);
    line.textContent = "Thank you. Your answers have been received; you can close this page.";
    line.className = "received";
    if (study.completion) window.location.href = study.completion;
  }

  if (state.sent) {
    document.body.innerHTML = text("You have taken part already. Thank you.");
    return;
  }

  const timeline = [];
  if (!state.consent) {
    timeline.push({
      type: jsPsychInstructions, pages: [`<h1></h1>${text(study.consent)}`], show_clickable_nav: true, allow_backward: false,
      button_label_next: "I agree", on_load: () => { document.querySelector("h1").textContent = study.title; },
      on_finish: () => { state.consent = new Date().toISOString(); save(state); },
    });
    timeline.push({
      type: jsPsychInstructions, pages: study.instructions.map((page) => text(page)), show_clickable_nav: true,
      button_label_next: "Next", button_label_previous: "Back",
    });
  }
  for (const shown of pairs.slice(state.rows.length)) {
    timeline.push({
      type: jsPsychPreload, video: [shown.left, shown.right], show_progress_bar: false, message: "Loading ...",
      error_message: "A video cannot be loaded. Please reload the page.", on_load: showProgress,
    });
    timeline.push({
      type: PairPlugin, ...shown, questions: study.questions, ties: study.ties, on_load: showProgress,
      on_finish: (data) => {
        const { pair, left, right, answers, seconds, played } = data;
        state.rows.push({ pair, left, right, answers, seconds, played });
        save(state);
      },
    });
  }
  await jsPsych.run(timeline);
  showProgress();
  await end();
})();
