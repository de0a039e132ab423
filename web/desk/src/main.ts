import { createApp, watchEffect } from "vue";
import App from "./App.vue";
import "./element";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/element.css";
import { i18n, t } from "./i18n";
import { router } from "./router";
import { startConnection } from "./state/connection";
import { notify } from "./state/notices";
import { startUi } from "./state/ui";

startUi();
startConnection();
const app = createApp(App).use(i18n).use(router);
// An answer of another shape than ours, most likely: say so, and keep the rest of the page alive.
app.config.errorHandler = (error) => {
  console.error(error);
  notify(t("fault.page"), true);
};
app.mount("#app");

watchEffect(() => {
  const title = router.currentRoute.value.meta.title;
  document.title = `${title ? `${t(title)} · ` : ""}${t("app.title")}`;
});
