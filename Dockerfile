# syntax=docker/dockerfile:1
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
COPY migrations migrations
# The image has its own Node: the one among the optional packages is not needed once more.
RUN npm run build && npm prune --ignore-scripts --omit=dev --omit=optional

FROM node:24.21.0-bookworm-slim
WORKDIR /app
ENV NODE_ENV=production \
    FIRSTBOOT_HOST=0.0.0.0 \
    FIRSTBOOT_DATA_DIR=/data
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY package.json LICENSE CHANGELOG.md README.md ./
RUN install --directory --owner=node --group=node --mode=0700 /data
VOLUME /data
USER node
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "--eval", "const e = process.env; require(e.FIRSTBOOT_TLS_CERT_FILE ? 'https' : 'http').get({ host: e.FIRSTBOOT_HOST, port: e.FIRSTBOOT_PORT || 8080, path: '/healthz', rejectUnauthorized: false }, (answer) => process.exit(answer.statusCode === 200 ? 0 : 1))"]
# Without a shell, so that SIGTERM reaches the server and drains it.
ENTRYPOINT ["node", "dist/src/main.js"]
CMD ["serve"]
