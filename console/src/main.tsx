import { render } from "preact";

import { App } from "./app";
import { applyTheme, begin, readAddress } from "./state/ui";

import "uplot/dist/uPlot.min.css";
import "./style/base.css";
import "./style/parts.css";
import "./style/traffic.css";
import "./style/views.css";

applyTheme();
readAddress();
window.addEventListener("popstate", readAddress);
window.addEventListener("hashchange", readAddress);
render(<App />, document.getElementById("app")!);
void begin();
