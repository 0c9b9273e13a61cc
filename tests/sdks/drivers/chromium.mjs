// Starts the Chromium that came with the packages, without a window.
import { join } from "node:path";

// With its own libraries and fonts; and whatever it looks up, only this machine is there.
export function launch(puppeteer, folder) {
  return puppeteer.launch({
    executablePath: join(folder, "chromium"),
    headless: "shell",
    // It ends when this process does, however that ends.
    pipe: true,
    args: ["--no-sandbox", "--no-zygote", "--disable-gpu", "--disable-dev-shm-usage", "--accept-lang=de-DE",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
    env: { ...process.env, LD_LIBRARY_PATH: join(folder, "al2023", "lib"), FONTCONFIG_PATH: join(folder, "fonts") },
  });
}
