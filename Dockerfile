# The API and the worker in one image; compose.yaml says which of them a container runs.
FROM node:22-bookworm-slim AS build
WORKDIR /flash
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN node scripts/ensure.mjs && npm prune --omit=dev --no-audit --no-fund

FROM node:22-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=4000
WORKDIR /flash
COPY --from=build /flash/package.json /flash/schema.graphql ./
COPY --from=build /flash/node_modules node_modules
COPY --from=build /flash/prisma prisma
COPY --from=build /flash/src src
COPY --from=build /flash/web/playground/dist web/playground/dist
USER node
EXPOSE 4000
# Not through npm, which would stand between the container's signals and the process.
CMD ["node", "--max-semi-space-size=64", "--import", "tsx", "src/main.ts"]
