import { defineConfig } from "vite";

// The page runs under a policy that allows its own files alone, so nothing may be inlined: no assets as data, no
// preload script. One script and one style sheet, so that the binary embeds few files.
export default defineConfig({
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    outDir: "dist",
    assetsDir: "assets",
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: false,
    reportCompressedSize: true,
    rollupOptions: { output: { codeSplitting: false } },
  },
  server: { host: "127.0.0.1", proxy: { "/api": "http://127.0.0.1:8081", "/ca": "http://127.0.0.1:8081" } },
});
