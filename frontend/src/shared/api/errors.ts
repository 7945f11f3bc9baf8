/** A refusal in the server's own shape, or `network` when no answer came at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly extra: Record<string, unknown> = {},
  ) {
    super(message)
  }

  /** The messages that belong to one field of a form. */
  field(name: string): string[] {
    const fields = this.extra.fields
    if (typeof fields !== 'object' || fields === null) return []
    const value = (fields as Record<string, unknown>)[name]
    return Array.isArray(value) ? value.map(String) : value === undefined ? [] : [String(value)]
  }
}

/** Reads `{code, message, extra}` as well as the OAuth shape `{error, error_description}`. */
export async function errorOf(response: Response): Promise<ApiError> {
  let body: Record<string, unknown> = {}
  try {
    const parsed: unknown = await response.json()
    if (typeof parsed === 'object' && parsed !== null) body = parsed as Record<string, unknown>
  } catch { /* a proxy's page, not ours */ }
  const code = String(body.code ?? body.error ?? `http_${response.status}`)
  const message = String(body.message ?? body.error_description ?? '')
  return new ApiError(response.status, code, message, (body.extra ?? {}) as Record<string, unknown>)
}
