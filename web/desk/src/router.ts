// The hash holds the route, so the desk works under any path and the server needs to know none of its pages.

import { createRouter, createWebHashHistory } from "vue-router";
import { t } from "./i18n";
import { session } from "./lib/memory";
import SearchPage from "./pages/search/SearchPage.vue";
import { notify, say } from "./state/notices";

const RELOADED = "fenzhen.desk.reloaded";

declare module "vue-router" {
  interface RouteMeta {
    /** Words for the window's title. */
    title?: string;
    /** Routes of one name keep their page when one goes over into the other. */
    shared?: string;
  }
}

export const router = createRouter({
  history: createWebHashHistory(),
  // Back to where one was, and otherwise to the top; a change of filters moves nothing.
  scrollBehavior: (to, from, saved) => saved ?? (to.path === from.path ? false : { top: 0 }),
  routes: [
    // Search is what the desk is opened for: it is in the first file, the other rooms come when they are entered.
    { path: "/", name: "search", component: SearchPage, meta: { title: "nav.search" } },
    { path: "/articles", name: "articles", component: () => import("./pages/articles/ArticlesPage.vue"), meta: { title: "nav.articles" } },
    { path: "/articles/:id", name: "article", component: () => import("./pages/articles/ArticlePage.vue"), props: true, meta: { title: "nav.articles" } },
    { path: "/drafts", name: "drafts", component: () => import("./pages/drafts/DraftsPage.vue"), meta: { title: "drafts.title" } },
    { path: "/drafts/:id", name: "draft", component: () => import("./pages/drafts/DraftPage.vue"), props: true, meta: { title: "drafts.title", shared: "draft" } },
    { path: "/new", name: "new", component: () => import("./pages/drafts/DraftPage.vue"), props: { id: "" }, meta: { title: "draft.new_title", shared: "draft" } },
    { path: "/gaps", name: "gaps", component: () => import("./pages/gaps/GapsPage.vue"), props: { view: "gaps" }, meta: { title: "nav.gaps", shared: "gaps" } },
    { path: "/gaps/stale", name: "stale", component: () => import("./pages/gaps/GapsPage.vue"), props: { view: "stale" }, meta: { title: "gaps.stale", shared: "gaps" } },
    { path: "/gaps/incidents", name: "incidents", component: () => import("./pages/gaps/GapsPage.vue"), props: { view: "incidents" }, meta: { title: "gaps.incidents", shared: "gaps" } },
    { path: "/:rest(.*)*", redirect: "/" },
  ],
});

// A page's file that does not come: after an upgrade of the service its name has changed, and a reload brings the new one. Not
// without asking the service first, since a reload without a connection would lose what is on the screen; and once, since a file
// that is missing for another reason would make the page reload for ever.
router.onError(async (error, to) => {
  if (!/module|preload/i.test(String(error))) return;
  const last = Number(session.get(RELOADED) ?? 0);
  const reached = await fetch(document.baseURI, { method: "HEAD", cache: "no-store" }).then((r) => r.ok, () => false);
  if (!reached || Date.now() - last < 60_000) return notify(t("fault.network"), true);
  session.set(RELOADED, String(Date.now()));
  location.hash = to.fullPath;
  location.reload();
});

// Who does not see the page change hears it.
router.afterEach((to, from, failure) => {
  if (!failure && from.matched.length > 0 && to.path !== from.path && to.meta.title) say(t(to.meta.title));
});
