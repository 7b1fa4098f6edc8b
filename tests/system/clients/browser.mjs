// A browser without scripts: keeps cookies, fills in the one form of a page, follows redirects as far as the
// hosted pages go. What it is sent to outside of them is where a person would land in the application.
export class Browser {
  constructor({ issuer, person }) {
    this.issuer = issuer;
    this.person = person;
    this.cookies = new Map();
  }

  // Opens `url`, signs in where that is asked for, and presses `button` where one is named on a page.
  // Resolves to the application's own URL, or to the text of the last page.
  async visit(url, button) {
    let answer = await this.#fetch(url);
    for (let page = 0; page < 8; page += 1) {
      if (answer.redirect && !answer.redirect.startsWith(this.issuer)) return answer.redirect;
      if (answer.redirect) {
        answer = await this.#fetch(answer.redirect);
        continue;
      }
      const form = /<form method="post" action="([^"]+)">([\s\S]*?)<\/form>/.exec(answer.text);
      if (!form) return answer.text;
      const fields = new URLSearchParams();
      for (const [, attributes] of form[2].matchAll(/<input([^>]*)>/g)) {
        const pairs = [...attributes.matchAll(/([a-z-]+)="([^"]*)"/g)];
        const found = Object.fromEntries(pairs.map(([, name, value]) => [name, unescaped(value)]));
        fields.set(found.name, found.value ?? '');
      }
      for (const [name, value] of Object.entries(this.person)) if (fields.has(name)) fields.set(name, value);
      const pressed = new RegExp(`<button[^>]*name="([^"]+)"[^>]*value="(${button})"`).exec(form[2]);
      if (pressed) fields.set(pressed[1], pressed[2]);
      answer = await this.#fetch(new URL(form[1], this.issuer), { method: 'POST', body: fields });
    }
    throw new Error(`no end of pages: ${answer.text}`);
  }

  async #fetch(url, options = {}) {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { ...(cookie && { cookie }), ...(options.method && { origin: this.issuer }) };
    const response = await fetch(url, { ...options, headers, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      this.cookies.set(name, value);
    }
    const location = response.headers.get('location');
    return {
      redirect: location && new URL(location, this.issuer).href,
      text: `${response.status} ${await response.text()}`,
    };
  }
}

function unescaped(text) {
  return text.replace(/&(amp|lt|gt|quot|#x27|#39);/g, (_, name) => ({ amp: '&', lt: '<', gt: '>', quot: '"' })[name] ?? "'");
}
