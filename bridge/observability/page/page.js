// The values of this page come from job documents and servers: they are shown as text only.
"use strict";

const PERIOD = 2000;
const SHOWN = 20;
const element = (id) => document.getElementById(id);

// Characters without a glyph could change how the text beside them looks; the log escapes them too.
const visible = (text) => `${text}`.replace(/[\p{C}\p{Zl}\p{Zp}]/gu,
  (character) => `\\u${character.codePointAt(0).toString(16).padStart(4, "0")}`);

function setText(id, value) {
  const text = visible(value);
  // A screen reader reads a live region again only when its text changes.
  if (element(id).textContent !== text) element(id).textContent = text;
}

function setList(id, texts) {
  element(id).replaceChildren(...texts.map((text) => {
    const item = document.createElement("li");
    item.textContent = visible(text);
    return item;
  }));
}

function setPairs(id, pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  element(id).replaceChildren(...known.flatMap(([name, value]) => {
    const term = document.createElement("dt");
    const definition = document.createElement("dd");
    term.textContent = name;
    definition.textContent = visible(value);
    if (/^\d{4}-\d\d-\d\dT\S+$/.test(value)) definition.className = "whole";
    return [term, definition];
  }));
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "not known";
  if (seconds > 0 && seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 120) return `${Math.round(seconds * 10) / 10} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 360) / 10} h`
    : `${Math.round(seconds / 8640) / 10} days`;
}

const moment = (seconds) => new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");

function showState(status) {
  const excepted = exceptions(status);
  const [words, kind] = verdict(status, excepted);
  element("state").className = kind;
  setText("verdict", words);
  setList("reasons", [
    ...status.reasons,
    ...excepted.map(([count, what, , todo]) => `${number(count)} ${what} ${todo}`),
    ...status.notes.map((note) => `Note: ${note}`),
  ]);
  setText("name", status.name);
  // Readers without the password of http.username may not see all.
  if (status.details === false) {
    const item = document.createElement("li");
    item.textContent = "Hosts, jobs and causes are not shown: see http.details in the settings";
    element("reasons").append(item);
  }
  setText("route", `${status.namespace} to ${status.topic}, ${status.driver}, ${status.mode}, ` +
    `job-bridge ${status.version}`);
  document.title = visible(`${words}: ${status.name}`);
}

function showLag(gauges) {
  setPairs("lag", [
    ["In all", duration(gauges.job_bridge_lag_seconds)],
    ["Source: not read yet", duration(gauges.job_bridge_source_lag_seconds)],
    ["Delivery: not settled yet", duration(gauges.job_bridge_delivery_lag_seconds)],
  ]);
  const share = headroom(gauges);
  if (share === null) {
    setText("headroom-text", "Not known yet");
    element("headroom").value = 0;
    return;
  }
  element("headroom").value = share;
  setText("headroom-text", `${percent(share, 0)}: ` +
    `${duration(gauges.job_bridge_oplog_headroom_seconds)} left, then a stopped bridge needs a ` +
    "recovery");
}

function showWork(status, now) {
  const gauges = status.gauges;
  const position = gauges.job_bridge_position_timestamp_seconds;
  setPairs("position", [
    ["Settled up to", position ? moment(position) : "not known yet"],
    ["Age", position ? duration(Math.max(0, now - position)) : ""],
    ["Checkpoint stored", status.checkpoint && status.checkpoint.saved_at ?
      moment(gauges.job_bridge_last_checkpoint_timestamp_seconds) : "not yet"],
  ]);
  const { verification, verified } = status;
  setPairs("work", [
    ["In flight", `${number(gauges.job_bridge_in_flight_messages)} messages, ` +
      `${number(gauges.job_bridge_in_flight_bytes)} bytes`],
    ["Oldest in flight", gauges.job_bridge_in_flight_messages ?
      duration(gauges.job_bridge_in_flight_oldest_seconds) : ""],
    ["Recovery", status.recovery ? `${number(gauges.job_bridge_recovery_jobs_done)} of ` +
      `${gauges.job_bridge_recovery_jobs === null ? "an unknown number of" :
        number(gauges.job_bridge_recovery_jobs)} jobs, ` +
      `ETA ${duration(gauges.job_bridge_recovery_eta_seconds)}` : "not running"],
    ["Verification", verification ? `running for ${duration(verification.seconds)}, ` +
      `ETA ${duration(verification.eta_seconds)}` : "not running"],
    ["Verified", verified ? `up to ${moment(verified.until)}: ${verified.missing} missing, ` +
      `${verified.repeated} repeated, ${verified.strange} strange, ${verified.wrong} wrong` :
      "not yet"],
  ]);
}

function showOwner({ ownership, details }) {
  const unknown = details === false ? "not shown" : "not known";
  if (!ownership) {
    setPairs("owner", [["Owner", "no checkpoint is kept"]]);
    return;
  }
  setPairs("owner", [
    ["Owner", ownership.is_us ? "this bridge" : ownership.owner || unknown],
    ["Since", ownership.since ? moment(ownership.since) : ""],
    ["Standbys", ownership.standbys === null ? unknown :
      ownership.standbys.join(", ") || "none"],
  ]);
}

function showCounters(counters) {
  setPairs("counters", Object.entries(counters).map(
    ([name, value]) => [name.replaceAll("_", " "), number(value)]));
}

function warningItem(warning) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = moment(warning.last);
  // The log line ends with the action, unless this reader may not see all of the line.
  const todo = warning.todo && !warning.text.includes(warning.todo) ? `. ${warning.todo}` : "";
  const details = !warning.details || warning.details.startsWith("(") ?
    ` ${warning.details}` : ` (${warning.details})`;
  item.append(time, ` ${warning.level}: ${warning.text}${todo}${details}`);
  return item;
}

let shownWarnings = "";
function showWarnings(warnings) {
  // Replaced only when it changes: a selection or the scroll position would be lost.
  const text = JSON.stringify(warnings);
  if (text === shownWarnings) return;
  shownWarnings = text;
  element("warnings").replaceChildren(...warnings.map(warningItem));
}

function line(samples, value, peak, now, seconds) {
  const points = samples.filter((sample) => value(sample) !== null).map((sample) => {
    const x = 300 * (1 - (now - sample.time) / seconds);
    return `${Math.max(0, x).toFixed(1)},${(78 - 76 * value(sample) / peak).toFixed(1)}`;
  });
  if (points.length === 1) {
    // A line needs two points.
    const [x, y] = points[0].split(",");
    points.unshift(`${x - 2},${y}`);
  }
  const drawn = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  drawn.setAttribute("points", points.join(" "));
  return drawn;
}

function showHistory(history) {
  const { samples, seconds, server_time: now, objective } = history;
  const rates = samples.map((sample) => sample.rate);
  const peak = Math.max(...rates, 1);
  element("rate").replaceChildren(line(samples, (sample) => sample.rate, peak, now, seconds));
  if (samples.length) {
    setText("rate-text", `${rates.at(-1).toFixed(1)} messages/s now, ` +
      `${Math.max(...rates).toFixed(1)} at most`);
  }
  const late = samples.filter((sample) => sample.p99 !== null);
  const highest = Math.max(...late.map((sample) => sample.p99), 0.001);
  const slow = line(late, (sample) => sample.p99, highest, now, seconds);
  slow.setAttribute("class", "second");
  element("latency").replaceChildren(
    line(late, (sample) => sample.p50, highest, now, seconds), slow);
  setText("latency-text", late.length ? `Median ${duration(late.at(-1).p50)} (line), ` +
    `99 of 100 within ${duration(late.at(-1).p99)} (dashes), ` +
    `at most ${duration(highest)}` : "No messages yet");
  showObjective(objective);
}

function showObjective(objective) {
  const goal = `${percent(objective.target, 1)} of transitions in Kafka within ` +
    `${duration(objective.seconds)} of their commit`;
  element("budget").value = Math.max(0, objective.budget_left === null ? 1 : objective.budget_left);
  if (objective.share === null) {
    setText("objective-text", `${goal}. No messages yet`);
    return;
  }
  const left = objective.budget_left < 0 ? "the budget is overspent" :
    `${percent(objective.budget_left, 0)} of the budget left`;
  const recent = objective.recent_share === null ? "" :
    `, ${percent(objective.recent_share, 3)} in the last 15 minutes`;
  setText("objective-text", `${goal}. ${percent(objective.share, 3)} since the start${recent}; ` +
    left);
}

async function read(path) {
  const response = await fetch(path, { cache: "no-store" });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

async function update() {
  try {
    const [status, history] = await Promise.all([read("/status.json"), read("/history.json")]);
    showState(status);
    showLag(status.gauges);
    showWork(status, history.server_time);
    showOwner(status);
    showCounters(status.counters);
    showWarnings(status.warnings);
    showHistory(history);
    setText("updated", `Updated ${moment(history.server_time)}`);
  } catch (error) {
    element("state").className = "bad";
    setText("verdict", "The bridge does not answer");
    setList("reasons", ["The values below are old. Nothing is known about the data."]);
    document.title = "No answer: job-bridge";
  }
  setTimeout(update, PERIOD);
}

function describe(kind, data) {
  if (kind === "missed") return "Further transitions, not shown";
  // Readers without a password get no job ids.
  const job = data.job_id === undefined ? data.state : `job ${data.job_id}: ${data.state}`;
  return kind === "dead-letter" ? `dead letter, ${job} ${data.reason || ""}` : job;
}

function showEvent(event) {
  const data = JSON.parse(event.data);
  const item = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = visible(data.time || "");
  item.append(time, ` ${visible(describe(event.type, data))}`);
  element("transitions").prepend(item);
  while (element("transitions").childElementCount > SHOWN) {
    element("transitions").lastElementChild.remove();
  }
}

function follow() {
  const events = new EventSource("/events");
  for (const kind of ["transition", "dead-letter", "missed"]) {
    events.addEventListener(kind, showEvent);
  }
  // A new connection gets the last transitions once more.
  events.addEventListener("open", () => element("transitions").replaceChildren(), { once: true });
  events.addEventListener("open", () => setText("feed", ""));
  events.addEventListener("error", () => {
    setText("feed", "Not connected: newer transitions are not shown. Connecting again");
    // A browser connects again by itself, but not after an answer such as 503.
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, PERIOD);
  });
}

follow();
update();
