/** A line of the server's log, as far as the demo reads it. */
export interface LogLine {
  event?: string
  reason?: string
  attempt_id?: string
  serial_number?: string
  problem?: string
  [name: string]: unknown
}

/** A running Firstboot. */
export interface DemoServer {
  /** Its address, which devices are told too. */
  url: string
  token: string
  /** Where the token is kept. */
  tokenFile: string
  /** Where the log goes. */
  logFile: string
  /** All lines so far. */
  log: readonly LogLine[]
  close(): Promise<void>
}

/** Starts a server with these settings besides its own; PEM texts become files. */
export type StartServer = (settings: {
  adeUrl: string
  apnsUrl: string
  apnsCaPem: string
  machineInfoCaPem: string
}) => Promise<DemoServer>
