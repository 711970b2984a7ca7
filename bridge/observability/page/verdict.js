// The state of a bridge in words and as a colour, from status.json.
"use strict";

const WORDS = {
  starting: ["Starting", "wait"],
  standby: ["Standby: another bridge owns the checkpoint", "wait"],
  running: ["Transitions reach Kafka", "good"],
  recovering: ["Recovering a gap", "wait"],
  waiting: ["Transitions do not reach Kafka now", "bad"],
  paused: ["Paused by an operator", "wait"],
  draining: ["Stopping", "wait"],
  stopped: ["Stopped", "bad"],
};
// As the alerts call it critical.
const LEAST_HEADROOM = 0.1;
const number = (value) => Number(value).toLocaleString("en");
const percent = (share, digits) => `${(share * 100).toFixed(digits)} %`;

// The part of the oplog's window that is left, as the alerts compute it; null while not known.
function headroom(gauges) {
  const left = gauges.job_bridge_oplog_headroom_seconds;
  const whole = gauges.job_bridge_oplog_window_seconds;
  return whole > 0 && Number.isFinite(left) ? Math.min(1, left / whole) : null;
}

function condition({ state, ready, gauges }) {
  const { job_bridge_kafka_up: kafka, job_bridge_mongodb_up: mongodb } = gauges;
  if (["running", "recovering"].includes(state) && kafka === 0) {
    // The loop keeps its state for a minute, in case Kafka returns.
    return WORDS.waiting;
  }
  if (state === "standby" && (kafka === 0 || mongodb === 0)) {
    return ["Standby that cannot take over now", "bad"];
  }
  if (state === "running" && !ready) return ["Not ready: transitions may be late", "bad"];
  if (ready && gauges.job_bridge_lag_seconds > 60) return ["Catching up", "wait"];
  return WORDS[state] || [state, "wait"];
}

// The transitions that are not in the topic as they should be: how many, and what to do.
function exceptions({ counters, verified }) {
  const { missing, wrong } = verified || {};
  return [
    [missing, "missing", "bad",
      "in the last verification: 'job-bridge verify --since TIME --repair' sends them"],
    [counters.lost, "lost", "bad",
      "since the start: 'job-bridge verify --since TIME --repair' sends them"],
    [counters.latest_only, "recovered with the latest state only", "wait",
      "since the start: their earlier states are not known"],
    [wrong, "wrong", "bad", "in the last verification: 'job-bridge verify --since TIME' lists them"],
    [counters.dead_lettered, "dead-lettered", "wait",
      "since the start: 'job-bridge dead-letters list' shows them"],
  ].filter(([count]) => count > 0);
}

function verdict(status, excepted) {
  let [words, kind] = condition(status);
  if (kind === "good" && excepted.length) {
    words += `, except ${excepted.map(([count, what]) => `${number(count)} ${what}`).join(", ")}`;
    kind = excepted.some(([, , worst]) => worst === "bad") ? "bad" : "wait";
  }
  const share = headroom(status.gauges);
  if (status.state === "running" && share !== null && share < LEAST_HEADROOM) {
    return [`${words}; ${percent(share, 0)} of the oplog left`, "bad"];
  }
  return [words, kind];
}
