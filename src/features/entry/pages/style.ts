/** The style sheet of all pages. It stands in the page itself, as a phone in its setup should not have to load twice. */
export const STYLE = `
:root {
  --ink: #1c2430; --soft: #566173; --paper: #fff; --ground: #eef1f6; --line: #8792a3; --accent: #0b57c4;
  --accent-ink: #fff; --alert: #a3161d; --alert-ground: #fdecec; --rule: #d9dee7;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #edf1f7; --soft: #aab4c3; --paper: #1b212b; --ground: #10141a; --line: #7d8899; --accent: #86b7ff;
    --accent-ink: #0a1a30; --alert: #ffb3b0; --alert-ground: #47191c; --rule: #323b49;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; min-height: 100vh; display: flex; justify-content: center; align-items: flex-start;
  padding: max(1rem, 8vh) 1rem 2rem; background: var(--ground); color: var(--ink);
  font: 1.0625rem/1.5 -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main {
  width: 100%; max-width: 27rem; padding: 2rem; background: var(--paper); border: 1px solid var(--rule);
  border-radius: 1rem; box-shadow: 0 .5rem 2rem rgb(16 24 40 / 8%); overflow-wrap: anywhere;
}
.organization { margin: 0 0 .75rem; font-weight: 600; color: var(--soft); }
h1 { margin: 0 0 .5rem; font-size: 1.5rem; line-height: 1.25; letter-spacing: -.01em; }
h2 { margin: 1.75rem 0 .25rem; font-size: 1.0625rem; }
p { margin: 0 0 1rem; }
.soft { color: var(--soft); }
.small { font-size: .9rem; }
label { display: block; margin: 1.1rem 0 .35rem; font-weight: 600; }
input {
  width: 100%; min-height: 3rem; padding: .6rem .8rem; font: inherit; color: inherit; background: transparent;
  border: 1px solid var(--line); border-radius: .6rem;
}
input[aria-invalid="true"] { border-color: var(--alert); border-width: 2px; }
button, .button {
  display: block; width: 100%; min-height: 3rem; margin: 1.5rem 0 0; padding: .7rem 1rem; font: inherit; font-weight: 600;
  text-align: center; text-decoration: none; color: var(--accent-ink); background: var(--accent);
  border: 1px solid var(--accent); border-radius: .6rem; cursor: pointer;
}
.button.other { margin-top: .75rem; color: var(--accent); background: transparent; }
button:hover, .button:hover { filter: brightness(1.1); }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.alert {
  margin: 1rem 0; padding: .8rem 1rem; color: var(--alert); background: var(--alert-ground); border-radius: .6rem;
  border-left: .3rem solid var(--alert);
}
.or { display: flex; align-items: center; gap: .75rem; margin: 1.5rem 0 0; color: var(--soft); font-size: .9rem; }
.or::before, .or::after { content: ""; flex: 1; border-top: 1px solid var(--rule); }
ol { margin: .5rem 0 1rem; padding-left: 1.4rem; }
li { margin: .5rem 0; padding-left: .25rem; }
li::marker { color: var(--accent); font-weight: 700; }
@media (max-width: 30rem) {
  body { padding: 0; background: var(--paper); }
  main { max-width: none; padding: 1.75rem 1.25rem; border: 0; border-radius: 0; box-shadow: none; }
}
`
