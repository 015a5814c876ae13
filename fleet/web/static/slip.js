"use strict";
// Checks a result slip in the browser; what it does is what `protocol/slip.py` does, and a test holds the two together.
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const SIGNATURE = 64;
  const POINT = 33;
  const DAY_MS = 86400000;
  const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
  const P = BigInt("0xffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
  const B = BigInt("0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b");
  const KIND_OF = {
    valid: "good", genuine: "plain", certification_over: "warn", statement_over: "warn", not_yet: "warn", other_fleet: "warn", newer: "warn",
    outside_statement: "bad", altered: "bad", not_a_slip: "bad",
  };
  const SYMBOL_OF = { good: "✓", plain: "i", warn: "!", bad: "✗" };

  class Refused extends Error {
    constructor(verdict) {
      super(verdict);
      this.verdict = verdict;
    }
  }

  function decodeBase45(text) {
    if (text.length % 3 === 1) throw new Refused("not_a_slip");
    const found = [];
    for (let start = 0; start < text.length; start += 3) {
      const group = text.slice(start, start + 3);
      let number = 0;
      for (let place = group.length - 1; place >= 0; place -= 1) {
        const value = data.alphabet.indexOf(group[place]);
        if (value < 0) throw new Refused("not_a_slip");
        number = number * 45 + value;
      }
      if (number >= (group.length === 3 ? 65536 : 256)) throw new Refused("not_a_slip");
      if (group.length === 3) found.push(number >> 8);
      found.push(number & 255);
    }
    return Uint8Array.from(found);
  }

  class Unpacker {
    constructor(bytes) {
      this.bytes = bytes;
      this.at = 0;
    }
    take(length) {
      const found = this.bytes.slice(this.at, this.at + length);
      if (found.length < length) throw new Refused("not_a_slip");
      this.at += length;
      return found;
    }
    number() {
      return this.take(1)[0];
    }
    text() {
      const found = this.take(this.number());
      if (found.some((byte) => byte > 127)) throw new Refused("not_a_slip");
      return String.fromCharCode(...found);
    }
    day() {
      const [high, low] = this.take(2);
      return high * 256 + low;
    }
    rest() {
      return this.take(this.bytes.length - this.at);
    }
    end() {
      if (this.at !== this.bytes.length) throw new Refused("not_a_slip");
    }
  }

  function bare(text) {
    let found = text.trim();
    const mark = found.indexOf("#");
    if (mark >= 0) {
      found = found.slice(mark + 1).replace(/%([0-9A-Fa-f]{2})/g, (_, code) => String.fromCharCode(parseInt(code, 16)));
    }
    return /^[\x00-\x7f]*$/.test(found) ? found.toUpperCase() : found;
  }

  function partsOf(text) {
    const found = bare(text);
    if (text.length > data.longest) throw new Refused("not_a_slip");
    if (!found.startsWith(data.prefix)) throw new Refused(/^LCS[0-9]{1,3}:/.test(found) ? "newer" : "not_a_slip");
    const fields = new Unpacker(decodeBase45(found.slice(data.prefix.length)));
    return {
      fleetSignature: fields.take(SIGNATURE), signature: fields.take(SIGNATURE), statement: fields.take(fields.number()),
      result: fields.rest(),
    };
  }

  function power(base, exponent) {
    let result = BigInt(1);
    for (let left = exponent, square = base % P; left > 0; left >>= BigInt(1)) {
      if (left & BigInt(1)) result = (result * square) % P;
      square = (square * square) % P;
    }
    return result;
  }

  function base64url(bytes) {
    return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  }

  function bytesOf(number) {
    const digits = number.toString(16).padStart(64, "0");
    return Uint8Array.from(digits.match(/../g), (pair) => parseInt(pair, 16));
  }

  // SEC 1: y is a root of x^3 - 3x + b; browsers take no compressed points themselves. P is 3 modulo 4.
  function keyOf(point) {
    const x = BigInt("0x" + Array.from(point.slice(1), (byte) => byte.toString(16).padStart(2, "0")).join(""));
    if ((point[0] !== 2 && point[0] !== 3) || x >= P) throw new Refused("not_a_slip");
    const square = (power(x, BigInt(3)) + (P - BigInt(3)) * x + B) % P;
    let y = power(square, (P + BigInt(1)) >> BigInt(2));
    if ((y * y) % P !== square) throw new Refused("not_a_slip");
    if (Number(y & BigInt(1)) !== point[0] - 2) y = P - y;
    return { kty: "EC", crv: "P-256", x: base64url(bytesOf(x)), y: base64url(bytesOf(y)) };
  }

  function statementOf(bytes) {
    const fields = new Unpacker(bytes);
    if (fields.number() !== 1) throw new Refused("newer");
    const key = keyOf(fields.take(POINT));
    const [from, until, fleet, terminal] = [fields.day(), fields.day(), fields.text(), fields.text()];
    fields.end();
    if (from === 0 || until < from || !NAME.test(fleet) || !NAME.test(terminal)) throw new Refused("not_a_slip");
    return { key, from, until, fleet, terminal };
  }

  function resultOf(bytes) {
    const fields = new Unpacker(bytes);
    if (fields.number() !== 1) throw new Refused("newer");
    const digest = Array.from(fields.take(16), (byte) => byte.toString(16).padStart(2, "0")).join("");
    const [outcome, flags, decided, until] = [fields.number(), fields.number(), fields.day(), fields.day()];
    const [step, kind, tail] = [fields.number(), fields.number(), fields.text()];
    fields.end();
    const known = { outcome: data.outcomes[outcome], step: data.steps[step], kind: data.kinds[kind] };
    if (!known.outcome || !known.step || !known.kind || flags > 3) throw new Refused("newer");
    if (decided === 0 || (until !== 0 && known.outcome !== "certified")) throw new Refused("not_a_slip");
    if (!/^[A-Za-z0-9]{1,4}$/.test(tail)) throw new Refused("not_a_slip");
    return { ...known, digest, decided, until, tail, isCertain: (flags & 1) !== 0, isSimulated: (flags & 2) !== 0 };
  }

  // The signed header is not on the slip: it follows from key and type (RFC 7515, RFC 7638).
  async function holds(payload, signature, key, type) {
    const utf8 = new TextEncoder();
    const shown = `{"crv":"P-256","kty":"EC","x":"${key.x}","y":"${key.y}"}`;
    const thumbprint = base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", utf8.encode(shown))));
    const header = base64url(utf8.encode(`{"alg":"ES256","kid":"${thumbprint}","typ":"${type}"}`));
    const algorithm = { name: "ECDSA", namedCurve: "P-256" };
    const { kty, crv, x, y } = key;
    const imported = await crypto.subtle.importKey("jwk", { kty, crv, x, y }, algorithm, false, ["verify"]);
    const signed = utf8.encode(`${header}.${base64url(payload)}`);
    return crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, imported, signature, signed);
  }

  function namesAnother(statement) {
    try {
      return statementOf(statement).fleet !== data.fleet.fleet_id;
    } catch (error) {
      if (error instanceof Refused) return false;
      throw error;
    }
  }

  async function read(text) {
    const parts = partsOf(text);
    if (!(await holds(parts.statement, parts.fleetSignature, data.fleet.signing_key, data.statementType))) {
      throw new Refused(namesAnother(parts.statement) ? "other_fleet" : "altered");
    }
    const statement = statementOf(parts.statement);
    if (!(await holds(parts.result, parts.signature, statement.key, data.slipType))) throw new Refused("altered");
    return { ...resultOf(parts.result), statement };
  }

  function standing(slip, today) {
    const { from, until } = slip.statement;
    if (slip.isCertain && (slip.decided < from || slip.decided > until)) return "outside_statement";
    if (slip.isCertain && slip.decided > today + 1) return "not_yet";
    if (today > until) return "statement_over";
    return slip.until !== 0 && today > slip.until ? "certification_over" : "valid";
  }

  async function check(text, today) {
    try {
      const slip = await read(text);
      return { verdict: standing(slip, today), slip };
    } catch (error) {
      if (error instanceof Refused) return { verdict: error.verdict, slip: null };
      throw error;
    }
  }

  const shown = (id) => document.getElementById(id);
  let language = /^en/i.test(navigator.language) ? "en" : "zh";
  let answer = null;

  function say(group, name, values) {
    return data.texts[group][name][language].replace(/\{(\w+)\}/g, (_, key) => values[key]);
  }

  function lines(slip) {
    const day = (number) => new Date(number * DAY_MS).toISOString().slice(0, 10);
    const found = [say("label", "outcome", { value: say("outcome", slip.outcome) })];
    if (slip.isSimulated) found.unshift(say("label", "simulated"));
    if (slip.until !== 0) found.push(say("label", "certified_until", { value: day(slip.until) }));
    found.push(say("label", "next_step", { value: say("next_step", slip.step) }));
    found.push(say("label", "document", { kind: say("document", slip.kind), tail: slip.tail }));
    found.push(say("label", slip.isCertain ? "decided_on" : "decided_on_uncertain", { value: day(slip.decided) }));
    found.push(say("label", "terminal", { fleet: slip.statement.fleet, terminal: slip.statement.terminal }));
    found.push(say("label", "record", { value: slip.digest }));
    return found;
  }

  function draw() {
    document.documentElement.lang = language;
    document.title = say("page", "title");
    for (const element of document.querySelectorAll("[data-text]")) element.textContent = say("page", element.dataset.text);
    shown("agency").textContent = say("page", "agency", { value: data.fleet.fleet_id });
    // Green is for a certification; nobody may take another genuine slip for one at a glance.
    const isOther = answer !== null && answer.verdict === "valid" && (answer.slip.outcome !== "certified" || answer.slip.isSimulated);
    const word = answer === null ? "" : isOther ? "genuine" : answer.verdict;
    const kind = answer === null ? "plain" : KIND_OF[word];
    shown("answer").className = kind;
    shown("answer").hidden = answer === null;
    shown("answer").dataset.verdict = answer === null ? "" : answer.verdict;
    shown("verdict").textContent = answer === null ? "" : `${SYMBOL_OF[kind]} ${say("verdict", word)}`;
    const items = answer === null || answer.slip === null ? [] : lines(answer.slip);
    shown("lines").replaceChildren(
      ...items.map((line) => {
        const item = document.createElement("li");
        item.textContent = line;
        return item;
      })
    );
  }

  async function answerTo(text) {
    const now = new Date();
    const today = Math.round(Date.UTC(now.getFullYear(), now.getMonth(), now.getDate()) / DAY_MS);
    answer = await check(text, today);
    draw();
  }

  function fromAddress() {
    if (location.hash.length > 1) void answerTo(location.hash);
  }

  if (!globalThis.crypto || !crypto.subtle) return;
  shown("form").hidden = false;
  shown("form").addEventListener("submit", (event) => {
    event.preventDefault();
    void answerTo(shown("text").value);
  });
  shown("language").addEventListener("click", () => {
    language = language === "zh" ? "en" : "zh";
    draw();
  });
  addEventListener("hashchange", fromAddress);
  draw();
  fromAddress();
})();
