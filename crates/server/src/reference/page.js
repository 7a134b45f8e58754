// The reference itself, and beside it what was asked of the network lately. The token stays in the
// memory of this page: closing or reloading it signs out.
'use strict';

(() => {
  const DOCUMENT = '/openapi.json';
  const REQUESTS = '/api/developer/v1/requests';
  const PAGE = 50;
  // How often the operation at hand is looked for: the reference moves the address without an event.
  const LOOK_MS = 500;
  const REFRESH_MS = 5000;

  const part = (id) => document.getElementById(id);
  let token = null;
  let reference = null;
  let operations = new Map();
  let atHand = null;
  let cursor = null;
  // Answers to questions that were asked before the last one are no news.
  let asked = 0;

  // The languages that requests are shown in, by the names that the reference has for them.
  const SHOWN = {
    shell: ['curl'],
    js: ['fetch'],
    python: ['requests'],
    rust: ['reqwest'],
    go: ['native'],
    java: ['okhttp'],
    csharp: ['httpclient'],
  };

  function hiddenClients() {
    const others = ['c', 'clojure', 'dart', 'fsharp', 'http', 'kotlin', 'node', 'objc', 'ocaml',
      'php', 'powershell', 'r', 'ruby', 'swift'];
    const hidden = Object.fromEntries(others.map((language) => [language, true]));
    hidden.shell = ['httpie', 'wget'];
    hidden.js = ['axios', 'jquery', 'ofetch', 'xhr'];
    hidden.python = ['aiohttp', 'httpx_async', 'httpx_sync', 'python3'];
    hidden.java = ['asynchttp', 'nethttp', 'unirest'];
    hidden.csharp = ['restsharp'];
    return hidden;
  }

  function configuration() {
    return {
      url: DOCUMENT,
      // Nothing is loaded from or told to anybody else.
      withDefaultFonts: false,
      telemetry: false,
      proxyUrl: '',
      agent: { disabled: true },
      mcp: { disabled: true },
      hideClientButton: true,
      showDeveloperTools: 'never',
      persistAuth: false,
      defaultHttpClient: { targetKey: 'shell', clientKey: SHOWN.shell[0] },
      hiddenClients: hiddenClients(),
      generateOperationSlug: ({ operationId, method, path }) => operationId || `${method}${path}`,
      authentication: {
        preferredSecurityScheme: 'token',
        securitySchemes: { token: { token: token || '' } },
      },
    };
  }

  function show() {
    if (reference) {
      reference.updateConfiguration(configuration());
    } else {
      reference = Scalar.createApiReference('#reference', configuration());
    }
  }

  function tell(text) {
    part('told').textContent = text;
  }

  async function ask(path) {
    const answer = await fetch(path, {
      headers: { authorization: `Bearer ${token}` },
      cache: 'no-store',
      credentials: 'omit',
    });
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok) {
      throw new Error(body.error || `the server answered ${answer.status}`);
    }
    return body;
  }

  async function signIn(event) {
    event.preventDefault();
    token = part('token').value.trim();
    try {
      await ask(`${REQUESTS}?limit=1`);
    } catch (error) {
      token = null;
      tell(error.message);
      return;
    }
    part('token').value = '';
    tell('');
    signedIn(true);
    show();
  }

  function signOut() {
    token = null;
    signedIn(false);
    openRequests(false);
    part('list').replaceChildren();
    part('opened').hidden = true;
    show();
  }

  function signedIn(yes) {
    part('sign-in').hidden = yes;
    part('signed-in').hidden = !yes;
  }

  function openRequests(yes) {
    part('requests').hidden = !yes;
    part('open-requests').setAttribute('aria-expanded', String(yes));
    if (yes) {
      refresh();
    }
  }

  function query() {
    const wanted = new URLSearchParams({ limit: PAGE });
    if (part('status').value) {
      wanted.set('status', part('status').value);
    }
    if (part('which').value === 'operation' && atHand) {
      wanted.set('operation', atHand);
    }
    return wanted;
  }

  async function refresh() {
    await load(query(), (rows) => part('list').replaceChildren(...rows));
  }

  async function older() {
    const wanted = query();
    wanted.set('cursor', cursor);
    await load(wanted, (rows) => part('list').append(...rows));
  }

  async function load(wanted, place) {
    const mine = ++asked;
    try {
      const found = await ask(`${REQUESTS}?${wanted}`);
      if (mine !== asked || !token) {
        return;
      }
      cursor = found.nextCursor || null;
      part('more').hidden = !cursor;
      place(found.requests.map(row));
      tell('');
    } catch (error) {
      tell(error.message);
    }
  }

  function element(name, text, kind) {
    const made = document.createElement(name);
    made.textContent = text;
    if (kind) {
      made.className = kind;
    }
    return made;
  }

  function mood(status) {
    return status < 400 ? 'good' : 'bad';
  }

  function time(at) {
    return new Date(at).toLocaleTimeString();
  }

  function took(us) {
    return us < 1000 ? `${us} µs` : `${(us / 1000).toFixed(1)} ms`;
  }

  function row(request) {
    const made = document.createElement('tr');
    made.tabIndex = 0;
    made.dataset.operation = request.operation;
    made.dataset.status = request.status;
    const what = operations.get(request.operation) || `${request.method} ${request.path}`;
    made.append(
      element('td', time(request.at)),
      element('td', String(request.status), mood(request.status)),
      element('td', what),
      element('td', took(request.latencyUs)),
    );
    made.addEventListener('click', () => open(request.id));
    made.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') {
        open(request.id);
      }
    });
    return made;
  }

  async function open(id) {
    try {
      const { request } = await ask(`${REQUESTS}/${encodeURIComponent(id)}`);
      const facts = [
        ['Time', new Date(request.at).toLocaleString()],
        ['Request', `${request.method} ${request.path}`],
        ['Operation', operations.get(request.operation) || request.operation],
        ['Status', String(request.status)],
        ['Took', took(request.latencyUs)],
        ['Request id', request.requestId],
        ['Enterprise', request.enterpriseId],
        ['Token', `${request.tokenLabel} (${request.tokenId})`],
        ['User agent', request.userAgent || '—'],
      ];
      const told = facts.flatMap(([name, fact]) => [element('dt', name), element('dd', fact)]);
      part('facts').replaceChildren(...told);
      part('error').hidden = !request.error;
      part('error').textContent = request.error ? JSON.stringify(request.error, null, 2) : '';
      part('opened').hidden = false;
      part('opened').scrollIntoView({ block: 'nearest' });
    } catch (error) {
      tell(error.message);
    }
  }

  // The reference writes the operation that is in view behind the last slash of the address.
  function look() {
    const last = decodeURIComponent(location.hash).split('/').pop();
    if (!operations.has(last) || last === atHand) {
      return;
    }
    atHand = last;
    part('at-hand').textContent = `At hand: ${operations.get(last)}`;
    if (part('which').value === 'operation' && !part('requests').hidden) {
      refresh();
    }
  }

  async function readOperations() {
    const described = await (await fetch(DOCUMENT)).json();
    for (const [path, item] of Object.entries(described.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        if (operation && operation.operationId) {
          const summary = operation.summary || `${method.toUpperCase()} ${path}`;
          operations.set(operation.operationId, summary);
        }
      }
    }
  }

  part('sign-in').addEventListener('submit', signIn);
  part('sign-out').addEventListener('click', signOut);
  part('open-requests').addEventListener('click', () => openRequests(part('requests').hidden));
  part('close-requests').addEventListener('click', () => openRequests(false));
  part('close-opened').addEventListener('click', () => { part('opened').hidden = true; });
  part('refresh').addEventListener('click', refresh);
  part('more').addEventListener('click', older);
  part('status').addEventListener('change', refresh);
  part('which').addEventListener('change', refresh);
  setInterval(look, LOOK_MS);
  setInterval(() => {
    const idle = part('requests').hidden || document.hidden || !part('opened').hidden;
    if (token && !idle) {
      refresh();
    }
  }, REFRESH_MS);

  readOperations().catch((error) => tell(error.message)).finally(show);
})();
