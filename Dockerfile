# One static binary with the page in it, on nothing else.

FROM --platform=$BUILDPLATFORM node:20.20.2-bookworm-slim AS page
WORKDIR /src/frontend
COPY frontend/package.json frontend/package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY frontend/ ./
RUN npm run build

FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS binary
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
COPY --from=page /src/frontend/dist/ frontend/dist/
ARG VERSION=dev TARGETOS TARGETARCH
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /out/parley ./cmd/parley
RUN echo 'parley:x:65532:65532:parley:/:/sbin/nologin' > /out/passwd

FROM scratch
COPY --from=binary /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=binary /out/passwd /etc/passwd
COPY --from=binary /out/parley /parley
USER 65532:65532
EXPOSE 7420
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=6 CMD ["/parley", "healthcheck"]
ENTRYPOINT ["/parley"]
