'use strict';
/* Draws the panels from Prometheus' own API, and again every fifteen seconds. Names and values are put in as text. */

const MADE = JSON.parse(document.getElementById('made').textContent);
const RANGES = [15, 60, 180, 720, 2880], EVERY_MS = 15000, POINTS = 150, PATIENCE_MS = 30000;
const COLOURS = ['#0969da', '#bc4c00', '#1a7f37', '#cf222e', '#8250df', '#9a6700', '#bf3989', '#57606a', '#1b7c83', '#6e7781'];
const H = 130, LEFT = 46, BOTTOM = 16, TOP = 6;
const given = new URLSearchParams(location.search);
const chosen = { job: given.get('job') || '', instance: given.get('instance') || '.*', minutes: +(given.get('minutes') || 60) };
const at = id => document.getElementById(id);

function element(parent, tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function drawn(parent, tag, attributes, text) {
  const made = document.createElementNS('http:\u002f/www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function duration(s) {
  const n = Math.abs(s), sign = s < 0 ? '-' : '';
  if (n < 1e-3) return n ? sign + (n * 1e6).toFixed(0) + ' µs' : '0 s';
  if (n < 1) return sign + (n * 1e3).toPrecision(3).replace(/\.0+$/, '') + ' ms';
  if (n < 120) return sign + (n < 10 ? n.toFixed(1) : n.toFixed(0)) + ' s';
  if (n < 7200) return sign + (n / 60).toFixed(0) + ' min';
  if (n < 172800) return sign + (n / 3600).toFixed(1) + ' h';
  return sign + (n / 86400).toFixed(1) + ' d';
}

function shown(value, unit) {
  if (!isFinite(value)) return '–';
  if (unit === 's' || unit === 'dtdurations') return duration(value);
  if (unit === 'bytes') return value >= 2 ** 30 ? (value / 2 ** 30).toFixed(1) + ' GiB' : (value / 2 ** 20).toFixed(0) + ' MiB';
  if (unit === 'percentunit') return (100 * value).toFixed(value && Math.abs(value) < 0.1 ? 1 : 0) + '%';
  const text = Math.abs(value) >= 1e6 ? (value / 1e6).toPrecision(3) + ' M' : Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en')
    : String(+value.toPrecision(3));
  return text + (['mps', 'reqps', 'cps'].includes(unit) ? '/s' : '');
}

async function api(path, parameters) {
  const answer = await fetch('/api/v1/' + path + '?' + new URLSearchParams(parameters), { signal: AbortSignal.timeout(PATIENCE_MS) });
  const said = await answer.json();
  if (said.status !== 'success') throw new Error(said.error);
  return said.data;
}

const quoted = text => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
const step = () => Math.max(15, Math.round(chosen.minutes * 60 / POINTS));
const query = expr => expr.replaceAll('$__rate_interval', Math.max(60, 4 * step()) + 's').replaceAll('$job', quoted(chosen.job))
  .replaceAll('$instance', quoted(chosen.instance));
const legend = (text, labels) => text.replace(/[{]{2}\s*(\w+)\s*[}]{2}/g, (all, name) => labels[name] ?? '') || Object.values(labels).join(' ');

async function range(expr, name, end) {
  const found = await api('query_range', { query: query(expr), start: end - chosen.minutes * 60, end, step: step() });
  return found.result.map(series => ({
    name: legend(name, series.metric),
    points: series.values.map(([x, y]) => [x, +y]).filter(point => isFinite(point[1])),
  })).filter(series => series.points.length);
}

async function now(expr, name, end) {
  const found = await api('query', { query: query(expr), time: end });
  return found.result.map(series => ({ name: legend(name, series.metric), points: [[end, +series.value[1]]] }))
    .filter(series => isFinite(series.points[0][1]));
}

const off = (panel, value) => (panel.bad_from !== null && value >= panel.bad_from) || (panel.bad_below !== null && value < panel.bad_below);
const last = series => series.points.at(-1)[1];

function numbers(panel, box, all) {
  const judged = panel.bad_from !== null || panel.bad_below !== null;
  const first = panel.queries[0].legend, counts = all.filter(series => panel.queries.length === 1 || series.name === first);
  const named = all.length > 1 || panel.queries[0].legend.includes('}');
  const wrong = counts.some(series => off(panel, last(series)));
  box.classList.toggle('bad', wrong);
  box.classList.toggle('good', judged && !wrong);
  box.classList.toggle('many', all.length > 2);
  const place = box.querySelector('.body');
  place.replaceChildren();
  for (const series of all) {
    const line = element(place, 'div');
    element(line, 'span', 'value' + (counts.includes(series) && off(panel, last(series)) ? ' off' : ''), shown(last(series), panel.unit) + ' ');
    if (named) element(line, 'span', 'faint', series.name);
  }
}

function names(box, all) {
  box.querySelector('.body').replaceChildren();
  for (const series of all) element(box.querySelector('.body'), 'div', '', series.name);
}

function lines(panel, box, all, marks, start, end) {
  const place = box.querySelector('.body');
  place.replaceChildren();
  const ys = all.flatMap(series => series.points.map(point => point[1]));
  let high = Math.max(...ys), low = Math.min(0, ...ys);
  if (panel.bad_from !== null && high > panel.bad_from / 3) high = Math.max(high, panel.bad_from * 1.05);
  if (high <= low) high = low + 1;
  const W = Math.max(200, place.clientWidth);
  const X = x => LEFT + (x - start) / (end - start) * (W - LEFT), Y = y => TOP + (high - y) / (high - low) * (H - TOP - BOTTOM);
  const svg = drawn(place, 'svg', { viewBox: `0 0 ${W} ${H}`, role: 'img' });
  for (const y of [low, (low + high) / 2, high]) {
    drawn(svg, 'line', { x1: LEFT, x2: W, y1: Y(y), y2: Y(y), stroke: '#e6eaee' });
    drawn(svg, 'text', { x: LEFT - 4, y: Y(y) + 3, 'text-anchor': 'end' }, shown(y, panel.unit));
  }
  for (const share of [0, 0.5, 1]) {
    const x = start + share * (end - start);
    drawn(svg, 'text', { x: X(x), y: H - 3, 'text-anchor': ['start', 'middle', 'end'][share * 2] }, new Date(x * 1000).toISOString().slice(11, 16));
  }
  for (const mark of marks) {
    const line = drawn(svg, 'line', { x1: X(mark.at), x2: X(mark.at), y1: TOP, y2: H - BOTTOM, stroke: mark.colour, 'stroke-dasharray': '3 2', class: 'mark' });
    drawn(line, 'title', {}, `${mark.title}: ${mark.text}`);
  }
  if (panel.bad_from !== null && panel.bad_from <= high)
    drawn(svg, 'line', { x1: LEFT, x2: W, y1: Y(panel.bad_from), y2: Y(panel.bad_from), stroke: '#cf222e', 'stroke-dasharray': '6 3' });
  const key = element(place, 'div', 'legend');
  all.forEach((series, number) => {
    const colour = COLOURS[number % COLOURS.length], gap = 2.5 * step();
    const path = series.points.map(([x, y], i) => (i && x - series.points[i - 1][0] <= gap ? 'L' : 'M') + X(x).toFixed(1) + ' ' + Y(y).toFixed(1)).join('');
    drawn(svg, 'path', { d: series.points.length > 1 ? path : path + 'h2', fill: 'none', stroke: colour, 'stroke-width': 1.6, 'vector-effect': 'non-scaling-stroke' });
    const one = element(key, 'span');
    element(one, 'i').style.background = colour;
    one.append(series.name + ' ');
    element(one, 'b', '', shown(last(series), panel.unit));
  });
}

function frame() {
  let number = 0;
  for (const row of MADE.rows) {
    element(at('rows'), 'h2', '', row.title);
    const place = element(at('rows'), 'div', 'row');
    for (const panel of row.panels) {
      const box = element(place, 'section', 'panel ' + panel.shape), title = element(box, 'h3', '', panel.title);
      box.style.gridColumn = 'span ' + panel.width;
      box.dataset.number = number;
      panel.place = number++;
      const ask = element(title, 'button', '', '?'), help = element(box, 'p', 'help', panel.description);
      ask.title = panel.description;
      help.hidden = true;
      ask.onclick = () => { help.hidden = !help.hidden; };
      element(box, 'div', 'body faint', 'loading');
    }
  }
}

async function draw(panel, marks, end) {
  const box = document.querySelector(`[data-number="${panel.place}"]`);
  try {
    const ask = panel.shape === 'lines' ? range : now;
    const all = (await Promise.all(panel.queries.map(one => ask(one.expr, one.legend, end)))).flat();
    box.dataset.state = all.length ? 'drawn' : 'empty';
    box.querySelector('.body').classList.toggle('faint', !all.length);
    if (!all.length) {
      box.classList.remove('good', 'bad');
      box.querySelector('.body').textContent = 'nothing in this time';
    } else if (panel.shape === 'names') names(box, all);
    else if (panel.shape === 'number') numbers(panel, box, all);
    else lines(panel, box, all, marks, end - chosen.minutes * 60, end);
  } catch (error) {
    box.dataset.state = 'failed';
    box.querySelector('.body').textContent = `no answer: ${error.message}`;
  }
}

/* Where a mark's expression begins to have a value: after a gap, or later than the beginning of the picture. */
async function moments(end) {
  const found = await Promise.all(MADE.marks.map(async mark => {
    const all = await range(mark.expr, mark.text, end);
    return all.flatMap(series => series.points.filter(([x], i) => i ? x - series.points[i - 1][0] > 1.5 * step() : x > end - chosen.minutes * 60 + step())
      .map(([x]) => ({ at: x, text: series.name, title: mark.title, colour: mark.colour })));
  }));
  return found.flat();
}

function read(name) {
  at('reader').querySelector('pre').textContent = MADE.runbooks[name] ?? `There is no runbook ${name} here.`;
  at('reader').showModal();
}

async function alerts() {
  const place = at('alerts');
  const found = (await api('alerts', {})).alerts.filter(one => one.labels.alertname.startsWith('Ralm'));
  const order = ['page', 'ticket', 'pending'], kind = one => one.state === 'pending' ? 'pending' : one.labels.severity;
  found.sort((a, b) => order.indexOf(kind(a)) - order.indexOf(kind(b)));
  place.replaceChildren();
  if (!found.some(one => one.state === 'firing')) element(place, 'p', 'calm', 'No alert fires.');
  const told = new Set();
  for (const one of found) {
    const which = [one.labels.alertname, one.labels.instance, one.labels.partition, one.labels.topic_kind].join(' ');
    if (told.has(which)) continue;
    told.add(which);
    const since = new Date(one.activeAt).toISOString().slice(11, 19);
    const line = element(place, 'p', kind(one), `${kind(one) === 'pending' ? 'About to fire: ' : ''}${one.labels.alertname} since ${since}: ${one.annotations.description} `);
    element(line, 'button', '', 'runbook').onclick = () => read(one.labels.alertname);
  }
}

async function choices() {
  const fill = (id, names, value) => {
    at(id).replaceChildren(...names.map(([name, text]) => new Option(text, name, false, name === value)));
  };
  const jobs = await api('series', { 'match[]': 'ralm_build_info', start: Date.now() / 1000 - chosen.minutes * 60 });
  const names = [...new Set(jobs.map(one => one.job))].sort();
  if (!names.includes(chosen.job)) chosen.job = names[0] ?? '';
  fill('job', names.map(name => [name, name]), chosen.job);
  const of = [...new Set(jobs.filter(one => one.job === chosen.job).map(one => one.instance))].sort();
  fill('instance', [['.*', 'all'], ...of.map(name => [name.replaceAll('.', '\\.'), name])], chosen.instance);
}

function go(change) {
  location.search = new URLSearchParams({ ...chosen, ...change });
}

async function refresh() {
  const end = Math.floor(Date.now() / 1000);
  try {
    await choices();
    await alerts();
    const marks = await moments(end);
    await Promise.all(MADE.rows.flatMap(row => row.panels).map(panel => draw(panel, marks, end)));
    at('asof').textContent = `${new Date(end * 1000).toISOString().slice(0, 19).replace('T', ' ')} UTC, every ${EVERY_MS / 1000} s`;
    document.body.dataset.drawn = end;
  } catch (error) {
    at('alerts').replaceChildren();
    element(at('alerts'), 'p', 'unknown', `Prometheus does not answer: ${error.message}`);
  }
  setTimeout(refresh, EVERY_MS);
}

for (const minutes of RANGES) {
  const link = element(at('ranges'), 'a', minutes === chosen.minutes ? 'now' : '', duration(minutes * 60));
  link.href = '?' + new URLSearchParams({ ...chosen, minutes });
}
at('job').onchange = event => go({ job: event.target.value, instance: '.*' });
at('instance').onchange = event => go({ instance: event.target.value });
frame();
refresh();
