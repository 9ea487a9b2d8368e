// Says below a plot what the column under the pointer stands for; without this, the browser's own tooltip does.
for (const figure of document.querySelectorAll("figure")) {
  const says = figure.querySelector("output");
  figure.addEventListener("pointerover", (event) => {
    const title = event.target.closest(".hit")?.querySelector("title");
    if (title) says.textContent = title.textContent;
  });
  figure.addEventListener("pointerleave", () => { if (says) says.textContent = ""; });
}
