// Unpacks the Chromium of the package @sparticuz/chromium, its libraries and its fonts into $TMPDIR, for the set-up.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(process.argv[2] + "/");
const { inflate } = require("@sparticuz/chromium");
const packed = join(dirname(require.resolve("@sparticuz/chromium")), "..", "bin");
for (const name of ["al2023.tar.br", "fonts.tar.br", "chromium.br"]) await inflate(join(packed, name));
