'use strict';
// Draws /-/status and asks again every two seconds. Everything is put in as text: nothing from a topic becomes markup.

const EVERY_MS = 2000, PATIENCE_MS = 8000;
const part = id => document.getElementById(id);
const number = new Intl.NumberFormat('en');
const whole = n => n === null || n === undefined ? '–' : number.format(n);
const percent = share => share === null ? '–' : (100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0) + '%';

function duration(ms) {
  const s = Math.abs(ms) / 1000, sign = ms < 0 ? '-' : '';
  if (s < 1) return sign + Math.round(s * 1000) + ' ms';
  if (s < 120) return sign + (s < 10 ? s.toFixed(1) : Math.round(s)) + ' s';
  if (s < 7200) return sign + Math.round(s / 60) + ' min';
  if (s < 172800) return sign + (s / 3600).toFixed(1) + ' h';
  return sign + Math.round(s / 86400) + ' d';
}
const ago = (ms, now) => ms === null ? 'not yet' : now - ms < 1500 ? 'now' : duration(now - ms) + ' ago';
const moment = ms => ms === null ? '–' : new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
const clock = ms => new Date(ms).toISOString().slice(11, 19);
const rate = (count, seconds) => {
  if (!seconds) return '–';
  const r = count / seconds;
  return (r === 0 ? '0' : r < 1 ? r.toFixed(2) : r < 100 ? r.toFixed(1) : whole(Math.round(r))) + '/s';
};

// A cell: a text, or {text, kind, title, bar}.
function cell(tag, value) {
  const made = document.createElement(tag), one = value !== null && typeof value === 'object' ? value : { text: value };
  made.textContent = one.text;
  if (one.kind) made.className = one.kind;
  if (one.title) made.title = one.title;
  if (one.bar !== undefined) {
    const box = document.createElement('span');
    box.className = 'bar';
    box.append(bar(one.bar, one.colour));
    made.append(' ', box);
  }
  return made;
}

function bar(share, colour) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 100 1');
  svg.setAttribute('preserveAspectRatio', 'none');
  const rect = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
  for (const [name, value] of Object.entries({ width: 100 * share, height: 1, fill: colour })) rect.setAttribute(name, value);
  svg.append(rect);
  return svg;
}

function rows(id, head, lines) {
  const table = part(id).querySelector('table');
  const row = tag => values => {
    const made = document.createElement('tr');
    made.append(...values.map(value => cell(tag, value)));
    return made;
  };
  if (head) table.querySelector('thead').replaceChildren(row('th')(head));
  table.querySelector('tbody').replaceChildren(...lines.map(row('td')));
}

function note(id, text, bad) {
  const place = part(id).querySelector('.note');
  place.textContent = text;
  place.className = 'note' + (bad ? ' bad' : '');
}

const show = (id, shown) => { part(id).hidden = !shown; };

// The four questions of a night: do people get answers, how fast, from how fresh centroids, and what waits.
function tiles(r) {
  const q = r.requests, w = r.windows, i = r.items, out = [];
  if (q) {
    const share = q.recent_ok_share;
    out.push(['answers that are ok', share === null ? 'none asked' : percent(share), `of ${whole(q.recent)} in the last ${duration(r.recent_s * 1000)}`,
      share === null ? '' : share < 0.5 ? 'bad' : share < 0.9 ? 'warning' : 'good']);
    out.push(['99 of 100 wait less than', q.recent_p99_s === null ? '–' : duration(q.recent_p99_s * 1000), 'from request to answer',
      q.recent_p99_s === null ? '' : q.recent_p99_s > 1 ? 'bad' : 'good']);
  }
  if (w) {
    const end = w.index_window_end ?? w.newest.find(one => one.clustered)?.end ?? null, behind = end === null ? null : w.watermark - end;
    out.push([q ? 'answers know clicks until' : 'centroids know clicks until', end === null ? 'none yet' : clock(end),
      end === null ? 'no window with centroids so far' : `${duration(behind)} before event time; windows last ${duration(w.length_ms)}`,
      end === null ? 'warning' : i.waiting && behind > 3 * w.length_ms ? 'bad' : 'good']);
  }
  const behind = Math.max(0, ...r.inputs.map(one => one.behind_s ?? 0)), lag = r.inputs.reduce((sum, one) => sum + (one.lag_messages ?? 0), 0);
  out.push(['waiting in Kafka', whole(lag), lag ? `the oldest for ${duration(behind * 1000)}` : 'nothing waits' + (i.waiting ? `; ${whole(i.waiting)} items wait for clustering` : ''),
    behind > 60 ? 'bad' : 'good']);
  part('tiles').replaceChildren(...out.map(([title, value, text, kind]) => {
    const tile = document.createElement('div'), big = document.createElement('b'), small = document.createElement('span');
    tile.className = kind;
    big.textContent = value;
    small.textContent = text;
    small.className = 'faint';
    tile.append(title, big, small);
    return tile;
  }));
}

function ready(r) {
  const lines = Object.entries(r.ready.conditions).map(([name, at]) =>
    [name.replaceAll('_', ' '), at.ok ? { text: 'yes', kind: 'good' } : { text: at.why || 'no', kind: 'bad' }]);
  const age = r.ready.heartbeat_age_s;
  lines.push(['sign of life', age === null ? 'none yet' : { text: ago(r.now - age * 1000, r.now), kind: r.ready.healthy ? '' : 'bad' }]);
  rows('ready', null, lines);
}

function inputs(r) {
  rows('inputs', ['', { text: 'topic', kind: 'text' }, 'partitions', 'read', `last ${duration(r.recent_s * 1000)}`, 'waiting', 'behind', 'newest message'],
    r.inputs.map(i => [i.topic_kind, { text: i.topic, kind: 'text' }, i.partitions || '–', whole(i.read), rate(i.recent, r.recent_s), whole(i.lag_messages),
      i.behind_s === null ? '–' : i.behind_s > 60 ? { text: duration(i.behind_s * 1000), kind: 'bad' } : { text: duration(i.behind_s * 1000), kind: 'good' },
      ago(i.last_message_at, r.now)]));
}

function items(r) {
  const i = r.items, lines = [];
  if (i.live !== null) lines.push(['live: have centroids, are served', { text: whole(i.live), kind: 'big' + (i.live ? ' good' : ' bad') }]);
  if (i.cold !== null) lines.push(['cold: too few seeds so far', whole(i.cold)]);
  if (i.known !== null)
    lines.push(['known: somebody clicked them', whole(i.known)], ['touched in the open window', whole(i.touched)],
      ['wait for clustering', whole(i.waiting)], ['seeds of all items', whole(i.seeds)], ['in the candidates topic', whole(i.listed)]);
  rows('items', null, lines);
  note('items', i.why_none_live ? `${i.live === null ? 'None was clustered' : 'None is live'}: ${i.why_none_live}${i.why_none_live.endsWith('?') ? '' : '.'}` : '', i.live === 0);
}

function windows(r) {
  const w = r.windows;
  show('windows', w !== null);
  if (w === null) return;
  const skipped = s => Object.entries(s).sort((a, b) => b[1] - a[1]).map(([why, n]) => `${whole(n)} ${why.replaceAll('_', ' ')}`).join(', ');
  rows('windows', ['end (event time, UTC)', 'closed', 'items', 'clustered', 'waiting', { text: 'not clustered, and why', kind: 'text' }], w.newest.map(one =>
    [moment(one.end), ago(one.closed_at, r.now), whole(one.items), { text: whole(one.clustered), kind: one.clustered ? 'good' : '' },
      { text: whole(one.waiting), kind: one.waiting ? 'warning' : 'faint' },
      { text: skipped(one.skipped) || '–', kind: 'failed' in one.skipped ? 'text bad' : 'text' }]));
  const head = w.watermark === null ? 'No click yet, so event time has not begun. ' : `Event time is at ${moment(w.watermark)}. ` +
    `The next window closes at ${moment(w.next_end)}. `;
  note('windows', (w.newest.length ? '' : `None closed since the start; they are ${duration(w.length_ms)} long. `) + head +
    `Centroids were last made ${ago(w.last_centroids_at, r.now)}. ${whole(w.late_clicks)} late clicks.`);
}

function requests(r) {
  const q = r.requests;
  show('requests', q !== null);
  if (q === null) return;
  rows('requests', ['answers', 'all', `last ${duration(r.recent_s * 1000)}`, ''], Object.entries(q.by_status).map(([status, n]) => {
    const recent = q.recent_by_status[status], share = q.recent ? recent / q.recent : 0, ok = status === 'ok';
    return [{ text: status, kind: ok ? 'good' : n ? 'warning' : 'faint' }, whole(n), whole(recent),
      { text: q.recent ? percent(share) : '–', bar: share, colour: ok ? '#1a7f37' : '#d4a72c' }];
  }));
  const fast = q.recent_p50_s === null ? 'No answer lately.' : `Half wait less than ${duration(q.recent_p50_s * 1000)}, 99 of 100 less than ` +
    `${duration(q.recent_p99_s * 1000)}. ${rate(q.recent, r.recent_s)}.`;
  note('requests', `${fast} With cold items: ${whole(q.with_cold_items)}, stale: ${whole(q.with_stale_items)}` + (q.cut ? `, cut: ${whole(q.cut)}.` : '.'));
}

function letters(r) {
  const d = r.dead_letters, most = 8;
  rows('letters', ['dead letters', '', whole(d.total)], d.reasons.slice(0, most).map(one =>
    [one.topic_kind, { text: one.reason.replaceAll('_', ' '), kind: 'text' }, whole(one.count)]));
  const more = d.reasons.length > most ? `And ${d.reasons.length - most} more. ` : '';
  const stopped = d.not_read.length ? `NOT READ because of too many: ${d.not_read.join(', ')}. ` : '';
  note('letters', stopped + more + (d.total ? `${whole(d.recent)} in the last ${duration(r.recent_s * 1000)}. ralm dead-letters list shows them.` : 'None.'), stopped);
}

function writes(r) {
  rows('writes', ['', 'taken by the broker', 'refused'], Object.entries(r.writes.written).map(([kind, n]) =>
    [kind.replaceAll('_', ' '), whole(n), { text: whole(r.writes.errors[kind]), kind: r.writes.errors[kind] ? 'bad' : 'faint' }]));
}

const pairs = (id, of) => rows(id, null, Object.entries(of).map(([name, value]) =>
  [name.replaceAll('_', ' '), typeof value === 'number' ? whole(value) : String(value)]));

function store(r) {
  show('store', r.store !== null);
  if (r.store === null) return;
  const { last_snapshot_at, ...rest } = r.store;
  pairs('store', { ...rest, 'last snapshot': ago(last_snapshot_at, r.now) });
}

function draw(r) {
  part('band').className = r.verdict;
  part('verdict').textContent = { good: 'good', warning: 'look', bad: 'bad' }[r.verdict];
  part('headline').textContent = r.headline;
  document.title = `${r.verdict === 'good' ? '' : '! '}RALM ${r.flow}`;
  part('who').textContent = `Flow ${r.flow}, version ${r.version}, running for ${duration(r.now - r.started_at)}`;
  for (const each of [tiles, ready, inputs, items, windows, requests, letters, writes, store]) each(r);
  pairs('model', r.model);
  part('asof').textContent = `as of ${clock(r.now)} UTC, every ${EVERY_MS / 1000} s`;
}

let last = null;
async function ask() {
  try {
    const answer = await fetch('/-/status', { signal: AbortSignal.timeout(PATIENCE_MS), cache: 'no-store' });
    if (!answer.ok) throw new Error(`it answers ${answer.status}`);
    last = await answer.json();
    draw(last);
  } catch (error) {
    part('band').className = 'unknown';
    part('verdict').textContent = 'no answer';
    part('headline').textContent = `The flow does not answer (${error.message}). ` +
      (last ? `What is below is as of ${clock(last.now)} UTC.` : '');
  }
  setTimeout(ask, EVERY_MS);
}
ask();
