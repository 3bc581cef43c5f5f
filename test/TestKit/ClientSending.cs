namespace TestKit;

/// <summary>Both ways to send, as one.</summary>
public static class ClientSending
{
    /// <summary>
    /// Sends with <see cref="HttpClient.SendAsync(HttpRequestMessage, CancellationToken)"/>, or with its synchronous twin on
    /// another thread.
    /// </summary>
    public static Task<HttpResponseMessage> SendAsync(
        this HttpClient client, HttpRequestMessage request, bool isAsync, CancellationToken cancellationToken = default) => isAsync
        ? client.SendAsync(request, cancellationToken)
        : Task.Run(() => client.Send(request, cancellationToken), CancellationToken.None);
}
