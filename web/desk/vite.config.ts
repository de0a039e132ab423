import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vitest/config";

export default defineConfig({
  // Relative, so that the desk also works behind a path prefix: it is served under `desk/`, the API lies beside it.
  base: "./",
  plugins: [vue()],
  define: {
    __VUE_OPTIONS_API__: "false",
    __VUE_PROD_DEVTOOLS__: "false",
    __VUE_I18N_FULL_INSTALL__: "false",
    __VUE_I18N_LEGACY_API__: "false",
    __INTLIFY_PROD_DEVTOOLS__: "false",
  },
  build: {
    // light-dark() and :has() are used as they are: these are the oldest browsers that know them.
    target: ["chrome123", "edge123", "firefox121", "safari17.5"],
    sourcemap: false,
    // The policy allows no data: fonts and styles, and one file more is no matter.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // What the files are made of is under licences that ask to be named.
    license: { fileName: "licenses.md" },
    rolldownOptions: {
      output: {
        codeSplitting: {
          // It changes seldom: it keeps its file, and the browser its copy, when only the desk changes. Element Plus is left
          // to where it is used, since half of it (the select) is not needed by the search.
          groups: [{ name: "vue", test: /node_modules[\\/](@vue|vue|vue-router|vue-i18n|@intlify)[\\/]/ }],
        },
      },
    },
  },
  server: {
    proxy: {
      "/v1": "http://127.0.0.1:8080",
      "/readyz": "http://127.0.0.1:8080",
    },
  },
  test: { include: ["tests/**/*.test.ts"] },
});
