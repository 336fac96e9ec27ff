// A jsPsych plugin: two videos side by side, and questions that open when both were played to the end.
var PairPlugin = (function (jspsych) {
  "use strict";

  const info = {
    name: "pair",
    version: "1.0.0",
    parameters: {
      pair: { type: jspsych.ParameterType.STRING, default: undefined },
      left: { type: jspsych.ParameterType.STRING, default: undefined },
      right: { type: jspsych.ParameterType.STRING, default: undefined },
      caption: { type: jspsych.ParameterType.STRING, default: undefined },
      questions: { type: jspsych.ParameterType.OBJECT, default: undefined },
      ties: { type: jspsych.ParameterType.BOOL, default: false },
    },
    data: {
      pair: { type: jspsych.ParameterType.STRING },
      left: { type: jspsych.ParameterType.STRING },
      right: { type: jspsych.ParameterType.STRING },
      answers: { type: jspsych.ParameterType.OBJECT },
      seconds: { type: jspsych.ParameterType.FLOAT },
      played: { type: jspsych.ParameterType.OBJECT },
    },
    citations: {},
  };

  const SIDES = ["left", "right"];

  function element(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (key === "class") made.className = value;
      else if (value === true) made.setAttribute(key, "");
      else if (value !== false) made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  }

  function secondsPlayed(video) {
    let seconds = 0; // of different parts: what was skipped does not count
    for (let part = 0; part < video.played.length; part += 1) seconds += video.played.end(part) - video.played.start(part);
    return seconds;
  }

  class PairPlugin {
    constructor(jsPsych) {
      this.jsPsych = jsPsych;
    }

    trial(display, trial) {
      const begun = performance.now();
      const played = { left: 0, right: 0 };
      const answers = {};
      const videos = {};
      const captions = {};

      const figures = SIDES.map((side, number) => {
        videos[side] = element("video", {
          src: trial[side], controls: true, playsinline: true, preload: "auto", "data-side": side,
          disablepictureinpicture: true, controlslist: "nodownload noplaybackrate noremoteplayback",
        });
        captions[side] = element("figcaption", {}, `Video ${"AB"[number]}`);
        return element("figure", {}, videos[side], captions[side]);
      });

      const choices = trial.ties ? [...SIDES, "tie"] : SIDES;
      const words = { left: "Video A", right: "Video B", tie: "No difference" };
      const fields = Object.entries(trial.questions).map(([criterion, question]) => {
        const field = element("fieldset", { disabled: true },
          element("legend", {}, question.replace("{caption}", trial.caption)));
        const row = element("div", { class: "answers" });
        for (const choice of choices) {
          const input = element("input", { type: "radio", name: criterion, value: choice });
          input.addEventListener("change", () => { answers[criterion] = choice; update(); });
          row.append(element("label", {}, input, element("span", {}, words[choice])));
        }
        field.append(row);
        return field;
      });
      const hint = element("p", { class: "hint", role: "status" });
      const next = element("button", { class: "go", type: "button", disabled: true }, "Next");
      const keys = element("p", { class: "keys" },
        "Keys: A and B play the videos; 1 and 2 answer the next question; Enter goes on.");
      display.replaceChildren(element("div", { class: "videos" }, ...figures), hint, ...fields,
        element("div", { class: "done" }, next), keys);

      const bothPlayed = () => played.left > 0 && played.right > 0;
      const complete = () => Object.keys(answers).length === fields.length;

      function update() {
        fields.forEach((field) => { field.disabled = !bothPlayed(); });
        SIDES.forEach((side) => captions[side].classList.toggle("played", played[side] > 0));
        hint.textContent = bothPlayed()
          ? (complete() ? "" : "Please answer all questions.")
          : "Please play both videos to the end.";
        next.disabled = !(bothPlayed() && complete());
      }

      function play(side) {
        SIDES.forEach((other) => { if (other !== side) videos[other].pause(); });
        videos[side].currentTime = 0;
        videos[side].play();
      }

      for (const side of SIDES) {
        const video = videos[side];
        video.addEventListener("play", () => SIDES.forEach((other) => { if (other !== side) videos[other].pause(); }));
        video.addEventListener("ended", () => {
          if (secondsPlayed(video) > 0.9 * video.duration) { played[side] += 1; update(); }
          else hint.textContent = `Please play video ${side === "left" ? "A" : "B"} without skipping.`;
        });
      }

      const onKey = (event) => {
        if (event.ctrlKey || event.altKey || event.metaKey) return;
        const key = event.key.toLowerCase();
        if (key === "a") play("left");
        else if (key === "b") play("right");
        else if (key === "enter" && !next.disabled && document.activeElement !== next) finish();
        else if (["1", "2", "3"].includes(key) && bothPlayed()) {
          const choice = choices[Number(key) - 1];
          const open = Object.keys(trial.questions).find((criterion) => !(criterion in answers));
          if (choice && open) {
            display.querySelector(`input[name="${open}"][value="${choice}"]`).click();
          }
        } else return;
        event.preventDefault();
      };

      const finish = () => {
        document.removeEventListener("keydown", onKey);
        SIDES.forEach((side) => videos[side].pause());
        this.jsPsych.finishTrial({
          pair: trial.pair, left: trial.left, right: trial.right, answers,
          seconds: (performance.now() - begun) / 1000, played,
        });
      };

      document.addEventListener("keydown", onKey);
      next.addEventListener("click", finish);
      update();
    }
  }
  PairPlugin.info = info;
  return PairPlugin;
})(jsPsychModule);
