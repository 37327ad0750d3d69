// Images lie on other servers, which learn who looks at them: they are loaded when asked for.
for (const button of document.querySelectorAll("button")) {
  button.addEventListener("click", () => {
    for (const image of button.closest("section").querySelectorAll("img[data-address]")) {
      image.src = image.dataset.address;
    }
    button.remove();
  });
}
