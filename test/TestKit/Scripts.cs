namespace TestKit;

/// <summary>The ways in which servers answer, fail to answer and break, by name.</summary>
/// <remarks>Proxies too: <see cref="Respond(int, ValueTuple{string, string}[])"/> answers a CONNECT as it answers anything else.</remarks>
public static class Scripts
{
    private const string Garbage = "220 mail.example.com ESMTP\r\n";

    /// <summary>Reads a request and answers with an empty body; the connection stays open.</summary>
    public static Script Respond(int status, params (string Name, string Value)[] headers) => Respond(status, "", headers);

    /// <summary>Reads a request and answers; the connection stays open.</summary>
    public static Script Respond(int status, string body, params (string Name, string Value)[] headers) =>
        async (connection, cancellationToken) =>
        {
            await connection.ReadRequestAsync(cancellationToken);
            await connection.RespondAsync(status, body, headers, cancellationToken);
        };

    /// <summary>Reads a request and sends it elsewhere.</summary>
    public static Script Redirect(int status, Uri location) => Respond(status, ("Location", location.AbsoluteUri));

    /// <summary>Reads a request, answers and closes with a FIN that the answer did not announce.</summary>
    public static Script CloseAfterResponse(int status) => Respond(status).Then(connection => connection.Close());

    /// <summary>Accepts the connection and never reads from it.</summary>
    public static Script NeverRead() =>
        (_, cancellationToken) => Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);

    /// <summary>Reads a request and never answers it.</summary>
    public static Script NeverAnswer() =>
        async (connection, cancellationToken) =>
        {
            await connection.ReadRequestAsync(cancellationToken);
            await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
        };

    /// <summary>Resets the connection right after accepting it.</summary>
    public static Script ResetOnAccept() =>
        (connection, _) =>
        {
            connection.Reset();
            return Task.CompletedTask;
        };

    /// <summary>Reads a whole request and closes with a FIN, without an answer.</summary>
    public static Script CloseAfterRequest() => ReadRequest().Then(connection => connection.Close());

    /// <summary>Reads a whole request and resets the connection, without an answer.</summary>
    public static Script ResetAfterRequest() => ReadRequest().Then(connection => connection.Reset());

    /// <summary>Reads that many bytes of the body, then resets the connection.</summary>
    public static Script ResetDuringUpload(long afterBytes) =>
        async (connection, cancellationToken) =>
        {
            await connection.ReadRequestAsync(bodyLimit: afterBytes, cancellationToken);
            connection.Reset();
        };

    /// <summary>Reads the head, answers and closes while the body is still on its way, as servers refuse large uploads.</summary>
    public static Script AnswerBeforeBody(int status) =>
        async (connection, cancellationToken) =>
        {
            await connection.ReadRequestAsync(bodyLimit: 0, cancellationToken);
            await connection.RespondAsync(status, "", [("Connection", "close")], cancellationToken);
            connection.Close();
        };

    /// <summary>Reads a request and answers with what is not HTTP.</summary>
    public static Script AnswerGarbage() => Answer(Garbage);

    /// <summary>Says what is not HTTP before the client says anything, as a mail server does, and never reads.</summary>
    public static Script SpeakFirst() =>
        async (connection, cancellationToken) =>
        {
            await connection.WriteAsync(Garbage, cancellationToken);
            await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
        };

    /// <summary>Reads a request and closes in the middle of the body of its answer.</summary>
    public static Script TruncateBody(int status) => Answer($"HTTP/1.1 {status} Scripted\r\nContent-Length: 100\r\n\r\nbut ten");

    /// <summary>Reads a request and stops in the middle of the body of its answer; the connection stays open.</summary>
    public static Script StallBody(int status) =>
        async (connection, cancellationToken) =>
        {
            await connection.ReadRequestAsync(cancellationToken);
            await connection.WriteAsync($"HTTP/1.1 {status} Scripted\r\nContent-Length: 100\r\n\r\nbut ten", cancellationToken);
            await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
        };

    /// <summary>Reads a request and answers with a body that has no end.</summary>
    public static Script EndlessBody(int status) =>
        async (connection, cancellationToken) =>
        {
            await connection.ReadRequestAsync(cancellationToken);
            await connection.WriteAsync($"HTTP/1.1 {status} Scripted\r\nTransfer-Encoding: chunked\r\n\r\n", cancellationToken);
            while (true)
            {
                await connection.WriteAsync($"400\r\n{new string('x', 1024)}\r\n", cancellationToken);
            }
        };

    /// <summary>Reads a request and answers with more headers than HttpClient takes by default (64 KB).</summary>
    public static Script OversizeHeaders(int status) => Respond(status, ("X-Large", new string('x', 128 * 1024)));

    /// <summary>Shakes hands as a TLS server with a self-signed certificate, then plays <paramref name="script"/>.</summary>
    public static Script OverTls(Script script) =>
        async (connection, cancellationToken) =>
        {
            await connection.StartTlsAsync(cancellationToken);
            await script(connection, cancellationToken);
        };

    /// <summary>Waits for the client's hello and resets the connection.</summary>
    public static Script ResetInHandshake() =>
        async (connection, cancellationToken) =>
        {
            await connection.WaitForDataAsync(cancellationToken);
            connection.Reset();
        };

    /// <summary>Over HTTP/2: reads a request and answers; the connection stays open.</summary>
    public static Script Http2Respond(int status, string body = "", params (string Name, string Value)[] headers) =>
        Http2((http2, cancellationToken) => http2.RespondAsync(status, body, headers, cancellationToken));

    /// <summary>Over HTTP/2: reads a request and resets its stream; the connection stays open.</summary>
    public static Script Http2ResetStream(Http2ErrorCode code) =>
        Http2((http2, cancellationToken) => http2.ResetStreamAsync(code, cancellationToken));

    /// <summary>Over HTTP/2: reads a request, says GOAWAY with that request as the last one looked at, and closes.</summary>
    public static Script Http2GoAway(Http2ErrorCode code) =>
        Http2((http2, cancellationToken) => http2.GoAwayAsync(http2.StreamId, code, cancellationToken))
            .Then(connection => connection.Close());

    /// <summary>Over HTTP/2: reads a request, says GOAWAY with that request as one not looked at, and closes.</summary>
    public static Script Http2GoAwayUnprocessed() =>
        Http2((http2, cancellationToken) => http2.GoAwayAsync(lastStreamId: 0, Http2ErrorCode.NoError, cancellationToken))
            .Then(connection => connection.Close());

    /// <summary>Over HTTP/2: reads a request and resets the connection under it.</summary>
    public static Script Http2Abort() => Http2((_, _) => Task.CompletedTask).Then(connection => connection.Reset());

    private static Script ReadRequest() => (connection, cancellationToken) => connection.ReadRequestAsync(cancellationToken);

    private static Script Answer(string bytes) =>
        async (connection, cancellationToken) =>
        {
            await connection.ReadRequestAsync(cancellationToken);
            await connection.WriteAsync(bytes, cancellationToken);
            connection.Close();
        };

    private static Script Http2(Func<Http2Connection, CancellationToken, Task> answer) =>
        async (connection, cancellationToken) =>
        {
            var http2 = await connection.StartHttp2Async(cancellationToken);
            await http2.ReadRequestAsync(cancellationToken);
            await answer(http2, cancellationToken);
        };

    private static Script Then(this Script script, Action<RawConnection> end) =>
        async (connection, cancellationToken) =>
        {
            await script(connection, cancellationToken);
            end(connection);
        };
}
