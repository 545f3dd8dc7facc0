"use strict";
// Everything can be read without this: it sorts tables, turns rows of pictures into slides and opens what a link leads to.
(function () {
  function reveal() {
    var name = decodeURIComponent(location.hash.slice(1));
    var target = name && document.getElementById(name);
    if (!target) return;
    for (var at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    target.scrollIntoView({ block: "start" });
  }
  addEventListener("hashchange", reveal);
  reveal();
  document.querySelectorAll("table.sort").forEach(function (table) {
    var body = table.tBodies[0];
    if (!body || body.rows.length < 2) return;
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (head, column) {
      var button = document.createElement("button");
      button.type = "button";
      while (head.firstChild) button.appendChild(head.firstChild);
      head.appendChild(button);
      button.addEventListener("click", function () {
        var down = head.getAttribute("aria-sort") === "descending";
        Array.prototype.forEach.call(table.tHead.rows[0].cells, function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", down ? "ascending" : "descending");
        var rows = Array.prototype.slice.call(body.rows);
        var value = function (row) { return row.cells[column].getAttribute("data-order") || row.cells[column].textContent; };
        rows.sort(function (one, other) {
          var a = value(one), b = value(other), x = parseFloat(a), y = parseFloat(b);
          var order = isNaN(x) || isNaN(y) ? (isNaN(x) ? (isNaN(y) ? a.localeCompare(b) : -1) : 1) : x - y;
          return down ? order : -order;
        });
        rows.forEach(function (row) { body.appendChild(row); });
      });
    });
  });
  document.querySelectorAll(".way").forEach(function (way) {
    var slides = way.querySelectorAll("figure");
    if (slides.length < 2) return;
    way.classList.add("slides");
    way.removeAttribute("tabindex");
    var label = document.createElement("label"), range = document.createElement("input"), text = document.createElement("output");
    label.className = "slider";
    range.type = "range"; range.min = 0; range.max = slides.length - 1; range.value = slides.length - 1;
    range.setAttribute("aria-label", way.getAttribute("aria-label"));
    label.appendChild(range); label.appendChild(text);
    way.parentNode.insertBefore(label, way);
    function show() {
      slides.forEach(function (slide, at) { slide.hidden = at !== Number(range.value); });
      text.textContent = Number(range.value) + 1 + " of " + slides.length;
      range.setAttribute("aria-valuetext", slides[range.value].querySelector("figcaption").textContent.trim());
    }
    range.addEventListener("input", show);
    show();
  });
})();
