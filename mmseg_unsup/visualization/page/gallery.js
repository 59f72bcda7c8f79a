'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const labels = data.labels;
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  function el(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key in node && key !== 'style' && key !== 'list') node[key] = value;
      else node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
  }

  const hex = (color) => '#' + color.map((v) => v.toString(16).padStart(2, '0')).join('');
  const rgb = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
  const percent = (share) => (share === 0 ? '0 %' : share < 0.0001 ? '< 0.01 %'
    : `${(100 * share).toFixed(share < 0.0995 ? 2 : 1)} %`);
  const sum = (values) => values.reduce((a, b) => a + b, 0);

  // ---- classes: lists of {name, color, clusters}, never changed in place ----

  const { classes: given, ...head } = data.names; // the file clusters.json
  let classes = given;
  let selected = []; // first clusters of classes, in the order of selection
  let saved = given;
  const history = [];

  const keyOf = (one) => one.clusters[0];
  const indexOf = (key) => classes.findIndex((one) => keyOf(one) === key);
  const shareOf = (one) => sum(one.clusters.map((k) => data.clusters[k].share));

  function merged(members) {
    const target = classes[members[0]];
    const clusters = members.flatMap((c) => classes[c].clusters).sort((a, b) => a - b);
    const place = Math.min(...members);
    return classes.map((one, c) => (c === place ? { ...target, clusters } : one))
      .filter((_, c) => c === place || !members.includes(c));
  }

  // The first name of a cluster that no class of the list has.
  function freeName(k, list) {
    const taken = new Set(list.map((one) => one.name));
    const first = k === data.background ? 'background' : `cluster ${k}`;
    let name = first;
    for (let n = 2; taken.has(name); n++) name = `${first} (${n})`;
    return name;
  }

  // The first cluster keeps name and colour.
  function splitUp(index) {
    const parts = classes[index].clusters.map((k, i) => (i === 0 ? { ...classes[index], clusters: [k] }
      : { name: freeName(k, classes), color: data.palette[k], clusters: [k] }));
    return classes.flatMap((one, c) => (c === index ? parts : [one]));
  }

  // Every class goes to its best label; those without labelled pixels stay.
  function namedAfterLabels() {
    const best = classes.map((one) => bestLabel(one)?.label);
    const found = labels.names.flatMap((name, c) => {
      const clusters = classes.flatMap((one, at) => (best[at] === c ? one.clusters : []));
      return clusters.length ? [{ name, color: labels.colors[c], clusters: clusters.sort((a, b) => a - b) }] : [];
    });
    const rest = classes.filter((_, at) => best[at] === undefined);
    const taken = new Set(found.map((one) => one.name));
    return [...found, ...rest.map((one) => (taken.has(one.name)
      ? { ...one, name: freeName(keyOf(one), [...found, ...classes]) } : one))];
  }

  // What apis.ClusterNames accepts: printable, without spaces at the ends, unique.
  const tidy = (text) => text.replace(/\s+/g, ' ').trim();
  function problemOf(name, index) {
    if (!name) return 'A name must not be empty.';
    if (/[\p{C}\p{Zl}\p{Zp}]/u.test(name)) return 'A name must not hold invisible characters.';
    const twin = classes.findIndex((one, c) => c !== index && one.name === name);
    return twin < 0 ? null : twin;
  }

  function fileText() {
    const list = (values) => `[${values.join(', ')}]`;
    const lines = classes.map((one) => `  {"name": ${JSON.stringify(one.name)}, "color": ${list(one.color)}, ` +
      `"clusters": ${list(one.clusters)}}`);
    const fields = Object.entries(head).map(([key, value]) => ` ${JSON.stringify(key)}: ${JSON.stringify(value)},\n`);
    return `{\n${fields.join('')} "classes": [\n${lines.join(',\n')}\n ]\n}\n`;
  }

  // ---- labels ----

  const labelTotals = labels ? labels.confusion.map(sum) : [];
  const countsOf = (one) => labels.confusion.map((row) => sum(one.clusters.map((k) => row[k])));

  function iouOf(counts, c) {
    const union = labelTotals[c] + sum(counts) - counts[c];
    return union ? counts[c] / union : 0;
  }

  // The label that most of its pixels have, and the IoU with it; null without labelled pixels.
  function bestLabel(one) {
    const counts = countsOf(one);
    const label = counts.indexOf(Math.max(...counts));
    return counts[label] > 0 ? { label, iou: iouOf(counts, label) } : null;
  }

  const bestName = (one) => labels?.names[bestLabel(one)?.label] ?? '';

  // The label that a class counts as: that of its name, or else its best one; -1 without.
  function labelOf(one) {
    const named = labels.names.indexOf(one.name);
    return named < 0 ? bestLabel(one)?.label ?? -1 : named;
  }

  // Whether anything was merged, or named like a label: else the scores are those of the clusters.
  const isNamed = () => classes.some((one) => one.clusters.length > 1 || labels.names.includes(one.name));

  function meanIou() {
    const own = classes.map(labelOf);
    const predicted = labels.names.map((_, c) =>
      countsOf({ clusters: classes.flatMap((one, at) => (own[at] === c ? one.clusters : [])) }));
    const present = labels.names.map((_, c) => c).filter((c) => labelTotals[c] || sum(predicted[c]));
    return sum(present.map((c) => iouOf(predicted[c], c))) / present.length;
  }

  // ---- pictures: an image, and over it a canvas made from its map of cluster ids ----

  const maps = [];
  const mapOf = (index) => (maps[index] ??= inflate(data.images[index].ids));

  async function inflate(text) {
    const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
    const buffer = await new Response(stream).arrayBuffer();
    return head.n_clusters > 256 ? new Uint16Array(buffer) : new Uint8Array(buffer);
  }

  const classTable = () => {
    const table = new Uint16Array(head.n_clusters);
    classes.forEach((one, c) => one.clusters.forEach((k) => { table[k] = c; }));
    return table;
  };

  // paint(id of the pixel by the table, whether it borders on another id) -> [r, g, b, a]
  function draw(figure, ids, table, paint) {
    const { width, height } = data.images[figure.index];
    const context = Object.assign($('canvas', figure), { width, height }).getContext('2d');
    const picture = context.createImageData(width, height);
    for (let y = 0, at = 0; y < height; y++) {
      for (let x = 0; x < width; x++, at++) {
        const own = table[ids[at]];
        const edge = (x + 1 < width && table[ids[at + 1]] !== own)
          || (y + 1 < height && table[ids[at + width]] !== own);
        picture.data.set(paint(own, edge), 4 * at);
      }
    }
    context.putImageData(picture, 0, 0);
  }

  const root = document.documentElement;
  const prefersDark = window.matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : prefersDark.matches);

  // What is not of the cluster goes pale, or dark on a dark page.
  async function paintTypical(figure) {
    const ids = await mapOf(figure.index);
    if (!figure.closest('.block')?.isNear) return;
    const table = Uint8Array.from({ length: head.n_clusters }, (_, k) => Number(k === figure.cluster));
    const line = [...classes[classTable()[figure.cluster]].color, 255];
    const veil = isDark() ? [78, 80, 86, 205] : [246, 245, 242, 190];
    const clear = [0, 0, 0, 0];
    draw(figure, ids, table, (own, edge) => (edge ? line : own ? clear : veil));
  }

  async function paintSample(figure) {
    const ids = await mapOf(figure.index);
    const alpha = Math.round(2.55 * $('#opacity').value);
    const isBackground = (one) => one.clusters.every((k) => k === data.background);
    const colors = classes.map((one) => [...one.color, isBackground(one) ? 0 : alpha]);
    const line = [255, 255, 255, alpha && Math.min(255, alpha + 60)];
    draw(figure, ids, classTable(), (own, edge) => (edge ? line : colors[own]));
  }

  function repaint() {
    $$('#samples .picture').forEach(paintSample);
    blocks.filter((block) => block.isNear).forEach((block) => $$('.typical .picture', block).forEach(paintTypical));
  }

  function figureOf(index, alt) {
    const { width, height, name } = data.images[index];
    const figure = el('figure', { className: 'picture', title: name },
      el('img', { alt, width, height, decoding: 'async' }), el('canvas', { 'aria-hidden': 'true' }));
    figure.index = index;
    return figure;
  }

  // Pictures get their content when they come near the window; canvases lose it when they leave.
  const nearby = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) show(target);
      else {
        target.isNear = false;
        for (const canvas of $$('canvas', target)) canvas.width = 0;
      }
    }
  }, { rootMargin: '800px' });

  function show(block) {
    block.isNear = true;
    for (const img of $$('img:not([src])', block)) {
      img.src = 'data:image/jpeg;base64,' + (img.jpeg ?? data.images[img.parentNode.index].jpeg);
    }
    $$('.typical .picture', block).forEach(paintTypical);
  }

  // ---- blocks: what is shown of a cluster; made once, moved when classes change ----

  const placeOf = (k) => (place, i) => {
    const img = el('img', { alt: `${data.place_name} ${i + 1} of cluster ${k}`, decoding: 'async' });
    img.jpeg = place.jpeg;
    const title = `${place.image}, similarity ${place.similarity.toFixed(3)}`;
    return el('figure', { className: 'picture', title }, img);
  };

  const typicalOf = (k) => ({ image, share }) => {
    const figure = figureOf(image, `image with ${percent(share)} of cluster ${k}`);
    figure.title += `, ${percent(share)} of it`;
    figure.cluster = k;
    return figure;
  };

  const blocks = data.clusters.map((cluster, k) => {
    const block = el('div', { className: 'block', id: `cluster-${k}` });
    block.nearest = el('p', { className: 'nearest' });
    block.caption = el('p', { className: 'caption' });
    const typical = cluster.images.length ? el('div', { className: 'typical' }, ...cluster.images.map(typicalOf(k)))
      : el('p', { className: 'empty' }, 'No pixel of these images belongs to it.');
    if (cluster.places.length) block.append(el('div', { className: 'places' }, ...cluster.places.map(placeOf(k))));
    block.append(el('div', { className: 'rest' }, block.caption, typical, block.nearest));
    nearby.observe(block);
    return block;
  });

  function refreshBlocks() {
    const table = classTable();
    data.clusters.forEach(({ nearest, share }, k) => {
      const isMerged = classes[table[k]].clusters.length > 1;
      blocks[k].caption.textContent = isMerged ? `cluster ${k}, ${percent(share)}` : '';
      const chips = nearest.map(({ cluster, similarity }) => {
        const other = classes[table[cluster]];
        const swatch = el('i', { className: 'swatch', style: `background: ${hex(other.color)}` });
        const value = el('small', {}, similarity.toFixed(2).replace('-', '\u2212'));
        return el('a', { className: 'chip', href: `#cluster-${cluster}`, title: `cluster ${cluster}` }, swatch,
          other.clusters.length > 1 ? `${other.name} (${cluster})` : other.name, value);
      });
      blocks[k].nearest.replaceChildren(...(chips.length ? ['nearest', ...chips] : []));
    });
  }

  // ---- the table and the cards ----

  let sort = { by: 'id', descending: false };
  const rows = new Map(); // key of a class -> its row and card

  const SORT_VALUES = {
    id: (one) => keyOf(one),
    name: (one) => one.name.toLowerCase(),
    share: shareOf,
    label: bestName,
    iou: (one) => bestLabel(one)?.iou ?? 0,
  };

  function sortedClasses() {
    const value = SORT_VALUES[sort.by];
    const collator = new Intl.Collator(undefined, { numeric: true });
    const compare = (a, b) => (typeof a === 'string' ? collator.compare(a, b) : a - b);
    const pairs = classes.map((one) => [value(one), one]);
    return pairs.sort(([a], [b]) => (sort.descending ? -1 : 1) * compare(a, b)).map(([, one]) => one);
  }

  function editors(key) {
    const input = (type, className, aim, further) => Object.assign(
      el('input', { type, className, 'aria-label': `${aim} cluster ${key}`, ...further }), { key });
    return [input('checkbox', 'select', 'Select'), input('color', 'color', 'Colour of'),
      input('text', 'name', 'Name of', { autocomplete: 'off', spellcheck: false })];
  }

  function rowOf(one) {
    const key = keyOf(one);
    const [box, color, name] = editors(key);
    const ids = el('a', { className: 'ids', href: `#cluster-${key}` });
    const row = el('tr', {}, ...[box, color, ids, name].map((content) => el('td', {}, content)),
      el('td', { className: 'share' }));
    if (labels) row.append(el('td', { className: 'label' }), el('td', { className: 'number iou' }));
    return Object.assign(row, { key });
  }

  function cardOf(one) {
    const header = el('header', {}, ...editors(keyOf(one)), el('div', { className: 'facts-line' }));
    return el('article', { className: 'card' }, header, ...one.clusters.map((k) => blocks[k]));
  }

  // Rebuild what follows from which clusters are one class, and in which order they are shown.
  function render() {
    selected = selected.filter((key) => indexOf(key) >= 0);
    rows.clear();
    for (const one of sortedClasses()) rows.set(keyOf(one), { row: rowOf(one), card: cardOf(one) });
    $('#table tbody').replaceChildren(...[...rows.values()].map(({ row }) => row));
    $('#cards').replaceChildren(...[...rows.values()].map(({ card }) => card));
    refresh();
    applyFilter();
  }

  // Bring names, colours and numbers up to date in place, so that the keyboard focus stays.
  function refresh() {
    const longest = Math.max(...classes.map(shareOf), 1e-9);
    for (const one of classes) {
      const { row, card } = rows.get(keyOf(one));
      for (const part of [row, card]) {
        $('.color', part).value = hex(one.color);
        clearProblem(Object.assign($('.name', part), { value: one.name, title: one.name }));
      }
      const many = one.clusters.length > 2;
      $('.ids', row).textContent = many ? `${keyOf(one)} +${one.clusters.length - 1}` : one.clusters.join(', ');
      $('.ids', row).title = `clusters ${one.clusters.join(', ')}`;
      row.classList.toggle('unused', !shareOf(one));
      const cell = $('.share', row);
      cell.textContent = percent(shareOf(one));
      cell.style.setProperty('--share', (100 * shareOf(one)) / longest);
      if (labels) {
        const best = bestLabel(one);
        $('.label', row).textContent = bestName(one);
        $('.label', row).title = bestName(one) || 'no labelled pixel';
        $('.iou', row).textContent = best ? (100 * best.iou).toFixed(1) : '';
      }
      $('.facts-line', card).replaceChildren(...factsOf(one));
    }
    refreshBlocks();
    refreshSelection();
    $('#undo').disabled = !history.length;
    $('#table thead [aria-sort]')?.removeAttribute('aria-sort');
    const sorted = $(`#table thead [data-sort=${sort.by}]`).parentNode;
    sorted.setAttribute('aria-sort', sort.descending ? 'descending' : 'ascending');
    repaint();
    if (labels) {
      drawHeat();
      $('#named-score').hidden = !isNamed();
      $('#named-score dd').textContent = (100 * meanIou()).toFixed(2);
    }
  }

  function factsOf(one) {
    const bold = (text) => el('b', {}, text);
    const count = one.clusters.length;
    const facts = [el('span', {}, ...(count > 8 ? [bold(count), ' clusters']
      : [count > 1 ? 'clusters ' : 'cluster ', bold(one.clusters.join(', '))])),
    el('span', {}, bold(percent(shareOf(one))), ' of pixels')];
    if (one.clusters.includes(data.background)) facts.push(el('span', {}, 'outside all objects'));
    const best = labels && bestLabel(one);
    if (best) facts.push(el('span', {}, 'IoU ', bold((100 * best.iou).toFixed(1)), ` with ${bestName(one)}`));
    if (count > 1) {
      const button = el('button', { type: 'button', className: 'split' }, 'Split');
      button.key = keyOf(one);
      facts.push(button);
    }
    return facts;
  }

  const shownKeys = () => $$('#table tbody tr:not([hidden])').map((row) => row.key);

  function select(keys) {
    selected = keys;
    refreshSelection();
  }

  function refreshSelection() {
    for (const [key, parts] of rows) {
      for (const part of Object.values(parts)) {
        part.classList.toggle('selected', selected.includes(key));
        $('.select', part).checked = selected.includes(key);
      }
    }
    const shown = shownKeys();
    $('#select-all').checked = shown.length > 0 && shown.every((key) => selected.includes(key));
    $('#selection').hidden = !selected.length;
    if (!selected.length) return;
    $('#selection span').textContent = `${selected.length} selected`;
    $('#merge').disabled = selected.length < 2;
    $('#merge').textContent = selected.length < 2 ? 'Select more to merge'
      : `Merge into “${classes[indexOf(selected[0])].name}”`;
  }

  function applyFilter() {
    const wanted = $('#filter').value.trim().toLowerCase();
    let count = 0;
    for (const one of classes) {
      const texts = [one.name, bestName(one)].map((text) => text.toLowerCase());
      const isNumber = /^\d+$/.test(wanted);
      const fits = isNumber ? one.clusters.includes(Number(wanted)) || texts[0].split(/\s+/).includes(wanted)
        : texts.some((text) => text.includes(wanted));
      count += fits;
      for (const part of Object.values(rows.get(keyOf(one)))) part.hidden = !fits;
    }
    $('#shown').textContent = count < classes.length ? `${count} of ${classes.length}`
      : `${classes.length} class${classes.length === 1 ? '' : 'es'}`;
    refreshSelection();
  }

  // Thousands of cells: drawn when they are near the window, and again when they come back after a change.
  let heat = { isNear: false, isDrawn: false };
  if (labels) {
    new IntersectionObserver(([{ isIntersecting }]) => {
      heat.isNear = isIntersecting;
      if (isIntersecting && !heat.isDrawn) drawHeat();
    }, { rootMargin: '800px' }).observe($('#confusion'));
  }

  function drawHeat() {
    heat.isDrawn = heat.isNear;
    if (!heat.isNear) return;
    const byRow = $('#normalise').value === 'row';
    const head = el('tr', {}, el('th', { scope: 'col' }), ...labels.names.map((name) =>
      el('th', { scope: 'col' }, el('span', {}, name))));
    const order = classes.map((one) => [bestLabel(one)?.label ?? labels.names.length, one]);
    order.sort(([a, one], [b, other]) => a - b || shareOf(other) - shareOf(one));
    const body = order.map(([, one]) => {
      const counts = countsOf(one);
      const total = sum(counts);
      const label = labelOf(one);
      const swatch = el('i', { className: 'swatch', style: `background: ${hex(one.color)}` });
      return el('tr', {}, el('th', { scope: 'row' }, swatch, one.name), ...counts.map((count, c) => {
        const value = count / ((byRow ? total : labelTotals[c]) || 1);
        const classNames = [value > 0.6 && 'half', value > 0.77 && 'full', c === label && 'matched'];
        return el('td', {
          className: classNames.filter(Boolean).join(' '), style: `--value: ${value.toFixed(3)}`,
          title: `${one.name} / ${labels.names[c]}: ${(100 * value).toFixed(1)} %`,
        }, value >= 0.005 || c === label ? (100 * value).toFixed(0) : '');
      }));
    });
    $('#heat').replaceChildren(el('thead', {}, head), el('tbody', {}, ...body));
  }

  // ---- changes ----

  function say(text) {
    $('#status').textContent = text;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => { $('#status').textContent = ''; }, 6000);
  }

  function change(next, text) {
    history.push(classes);
    const isRegrouped = next.length !== classes.length || next.some((one, c) => keyOf(one) !== keyOf(classes[c]));
    classes = next;
    if (isRegrouped) {
      selected = [];
      render();
    } else refresh();
    if (text) say(text);
  }

  function undo() {
    if (!history.length) return;
    classes = history.pop();
    render();
    say('Undone.');
  }

  function merge(keys) {
    const members = keys.map(indexOf);
    const name = classes[members[0]].name;
    change(merged(members), `Merged ${members.length} classes into “${name}”.`);
  }

  const edited = (index, fields) => classes.map((one, c) => (c === index ? { ...one, ...fields } : one));

  function clearProblem(input) {
    input.removeAttribute('aria-invalid');
    $('.problem', input.parentNode)?.remove();
  }

  // Give a class the name that was typed; false if it cannot have it.
  function commitName(input) {
    const index = indexOf(input.key);
    const name = tidy(input.value);
    clearProblem(input);
    if (name === classes[index].name) {
      input.value = name;
      return true;
    }
    const problem = problemOf(name, index);
    if (problem === null) {
      change(edited(index, { name }));
      return true;
    }
    input.setAttribute('aria-invalid', 'true');
    const text = el('p', { className: 'problem', role: 'alert' });
    if (typeof problem === 'string') text.append(problem);
    else {
      const button = el('button', { type: 'button' }, 'Merge');
      button.addEventListener('click', () => merge([keyOf(classes[problem]), input.key]));
      text.append(`Cluster ${classes[problem].clusters.join(', ')} has this name. `, button);
    }
    input.after(text);
    return false;
  }

  function nextName(input, step) {
    const inputs = $$('.name', input.closest('#table tbody, #cards')).filter((one) => one.offsetParent);
    const next = inputs[inputs.indexOf(input) + step];
    next?.focus();
    next?.select();
  }

  function download() {
    const link = el('a', { href: URL.createObjectURL(new Blob([fileText()], { type: 'application/json' })),
      download: 'clusters.json' });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    saved = classes;
    say('clusters.json is in your downloads.');
  }

  // ---- events ----

  document.addEventListener('change', ({ target }) => {
    if (target.matches('.name')) commitName(target);
    else if (target.matches('.color')) change(edited(indexOf(target.key), { color: rgb(target.value) }));
    else if (target.matches('.select, #select-all')) {
      const keys = target.id ? shownKeys() : [target.key];
      const others = selected.filter((key) => !keys.includes(key));
      select(target.checked ? [...others, ...keys] : others);
    } else if (target.id === 'normalise') drawHeat();
  });

  document.addEventListener('click', ({ target }) => {
    if (target.matches('.split')) change(splitUp(indexOf(target.key)), 'Split up.');
    const button = target.closest('[data-sort]');
    if (button) {
      const by = button.dataset.sort;
      sort = { by, descending: sort.by === by ? !sort.descending : by === 'share' || by === 'iou' };
      render();
    }
  });

  document.addEventListener('keydown', (event) => {
    const { target, key } = event;
    const isText = target.matches('input[type=text], input[type=search], select');
    if (target.matches('.name')) {
      if (key === 'Enter' && commitName(target)) nextName(target, 1);
      else if (key === 'ArrowDown' || key === 'ArrowUp') {
        event.preventDefault();
        nextName(target, key === 'ArrowDown' ? 1 : -1);
      } else if (key === 'Escape') {
        target.value = classes[indexOf(target.key)].name;
        clearProblem(target);
      }
    }
    if ((event.ctrlKey || event.metaKey) && key === 'z' && !isText) {
      event.preventDefault();
      undo();
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isText) return;
    if (key === '/') {
      event.preventDefault();
      $('#filter').focus();
    } else if (key === 'm' && selected.length > 1) merge(selected);
    else if (key === 'Escape') select([]);
  });

  document.addEventListener('focusin', ({ target }) => {
    $('#table tr.current')?.classList.remove('current');
    target.closest('#table tbody tr')?.classList.add('current');
  });

  $('#filter').addEventListener('input', applyFilter);
  $('#merge').addEventListener('click', () => merge(selected));
  $('#clear').addEventListener('click', () => select([]));
  $('#undo').addEventListener('click', undo);
  $('#download').addEventListener('click', download);
  $('#opacity').addEventListener('input', () => $$('#samples .picture').forEach(paintSample));
  $('#name-after-labels')?.addEventListener('click', () => change(namedAfterLabels(), 'Named after the labels.'));
  window.addEventListener('beforeunload', (event) => { if (classes !== saved) event.preventDefault(); });
  window.addEventListener('beforeprint', () => blocks.forEach(show));

  // ---- light and dark ----

  function showTheme() {
    $('#theme').textContent = isDark() ? 'Light' : 'Dark';
    repaint();
  }

  const memory = { // pages from a disk may have no storage
    get: () => { try { return localStorage.getItem('gallery-theme'); } catch { return null; } },
    set: (value) => { try { localStorage.setItem('gallery-theme', value); } catch { /* only this visit, then */ } },
  };
  if (memory.get()) root.dataset.theme = memory.get();
  showTheme();
  prefersDark.addEventListener('change', showTheme);
  $('#theme').addEventListener('click', () => {
    root.dataset.theme = isDark() ? 'light' : 'dark';
    memory.set(root.dataset.theme);
    showTheme();
  });

  // ---- start ----

  for (const index of data.samples) {
    const figure = figureOf(index, `${data.images[index].name} in the colours of its classes`);
    figure.addEventListener('pointermove', async (event) => {
      const box = figure.getBoundingClientRect();
      const { width, height, name } = data.images[index];
      const x = Math.min(width - 1, Math.floor(((event.clientX - box.left) / box.width) * width));
      const y = Math.min(height - 1, Math.floor(((event.clientY - box.top) / box.height) * height));
      const k = (await mapOf(index))[y * width + x];
      $('#pointer').textContent = `${name}: ${classes[classTable()[k]].name} (cluster ${k})`;
    });
    $('#samples').append(figure);
  }
  show($('#samples'));
  render();
})();
