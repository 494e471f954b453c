// What pages do beyond what they do without scripts: live parts are refreshed, values are copied, and a
// customer's token is taken out of the address.
"use strict";

const every = (selector, act) => document.querySelectorAll(selector).forEach(act);

// A part with data-live="5" is asked for anew every five seconds, as a piece of the same page. It is left
// alone while the page is hidden, or while somebody uses what stands in it.
const refresh = async (part) => {
  if (document.hidden || part.contains(document.activeElement) || part.querySelector("details[open]")) {
    return true;
  }
  const answer = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "manual" });
  if (answer.type === "opaqueredirect") {
    location.reload(); // The session has ended.
    return false;
  }
  if (!answer.ok) {
    return true;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById(part.id);
  if (fresh) {
    part.replaceChildren(...fresh.childNodes);
  }
  return Boolean(fresh && fresh.dataset.live);
};

const keepFresh = (part) => {
  const wait = Number(part.dataset.live) * 1000;
  const turn = async () => {
    let goOn = true;
    try {
      goOn = await refresh(part);
      part.classList.remove("stale");
    } catch {
      part.classList.add("stale"); // The server cannot be reached just now.
    }
    if (goOn) {
      setTimeout(turn, wait);
    }
  };
  setTimeout(turn, wait);
};

const makeCopy = (button) => {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });
};

// What stands behind the # of an address is seen by no server and in no log. It goes from there into the
// form, and out of the address before anything else can see it.
const enter = (form) => {
  const token = location.hash.slice(1);
  if (token) {
    history.replaceState(null, "", location.pathname);
    form.elements.token.value = token;
    form.submit();
  }
};

// Where a bar of links is wider than the screen, the one that is open is seen.
every("nav [aria-current]", (link) => {
  const bar = link.parentElement;
  bar.scrollLeft = link.offsetLeft - bar.offsetLeft - (bar.clientWidth - link.offsetWidth) / 2;
});
every("[data-live]", keepFresh);
every("[data-copy]", makeCopy);
every("[data-enter]", enter);
