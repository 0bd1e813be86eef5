/**
 * Errors of the client.
 *
 * @module
 */

/** The error that a call rejects with, unless its `signal` is aborted: then it is an `AbortError`. */
export class LayerscopeError extends Error {
  /**
   * @param {string} code - A stable name, such as `layer_not_found`, see docs/errors.md. The client itself adds
   *   `connection_failed`, when no answer comes, and `answer_unreadable`, when something else than the service answers.
   * @param {string} message - One sentence that says what to do.
   * @param {{status?: number, details?: Record<string, any>, requestId?: string | null, cause?: unknown}} [context]
   */
  constructor(code, message, context = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.name = "LayerscopeError";
    this.code = code;
    /** The HTTP status; undefined if no answer came. */
    this.status = context.status;
    /** The numbers and names in the message. @type {Record<string, any>} */
    this.details = context.details ?? {};
    /** The id of the request in the log of the service. */
    this.requestId = context.requestId ?? undefined;
  }

  /**
   * The error for an answer that is not a success.
   *
   * @param {any} body - The JSON of the answer; undefined if it has none.
   * @param {Response} response
   */
  static of(body, response) {
    const message = body?.error ?? `The service answered ${`${response.status} ${response.statusText}`.trimEnd()}.`;
    const requestId = response.headers.get("x-request-id") ?? body?.request_id;
    const context = { status: response.status, details: body?.details, requestId };
    return new LayerscopeError(body?.code ?? `http_${response.status}`, message, context);
  }
}
