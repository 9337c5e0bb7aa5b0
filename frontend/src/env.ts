/** Whether Vite serves the page from its sources. The only file that asks the bundler. */
export const development = import.meta.env.DEV;
