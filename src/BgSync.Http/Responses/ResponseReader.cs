using System.Buffers;
using System.Net.Http.Headers;

namespace BgSync.Http.Responses;

/// <summary>
/// Reads the start of a response's body: for the application that classifies it, and for the receipt. The rest can still be read after
/// it. The status is the answer, so a body that does not come in its time is cut, and changes nothing.
/// </summary>
internal sealed class ResponseReader : IDisposable
{
    private const int Shortest = 256;
    private const int Chunk = 4096;

    private readonly HttpResponseMessage _response;
    private readonly HttpContent _original;
    private readonly CancellationTokenSource _patience;
    private readonly CancellationToken _stop;
    private readonly CancellationTokenRegistration _registration;
    private readonly ArrayBufferWriter<byte> _start;
    private Stream? _rest;
    private Exception? _failure;

    /// <param name="response">The response; its content is exchanged for one that begins with what was read.</param>
    /// <param name="patience">How long the body may take in all.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    public ResponseReader(HttpResponseMessage response, TimeSpan patience, TimeProvider time, CancellationToken cancellationToken)
    {
        _response = response;
        _original = response.Content;
        _patience = new CancellationTokenSource(patience, time);
        _stop = cancellationToken;
        _registration = cancellationToken.UnsafeRegister(static patience => ((CancellationTokenSource)patience!).Cancel(), _patience);
        _start = new((int)Math.Clamp(_original.Headers.ContentLength + 1 ?? Shortest, Shortest, Chunk));
    }

    /// <summary>Whether the body has come to its end.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>Whether the body did not come in its time.</summary>
    public bool IsTooSlow => _patience.IsCancellationRequested && !_stop.IsCancellationRequested;

    /// <summary>The start of the body that was read.</summary>
    public ReadOnlyMemory<byte> Start => _start.WrittenMemory;

    /// <summary>
    /// Reads the body as far as a length, and one byte more to see whether it ends there. Never throws: a body that breaks off, or takes
    /// too long, is cut.
    /// </summary>
    public async Task ReadAsync(int length)
    {
        try
        {
            _rest ??= await _original.ReadAsStreamAsync(_patience.Token).ConfigureAwait(false);
            while (!HasEnded && _failure is null && _start.WrittenCount <= length)
            {
                var space = _start.GetMemory(1);
                space = space[..Math.Min(space.Length, length + 1 - _start.WrittenCount)];
                var count = await _rest.ReadAsync(space, _patience.Token).AsTask().WaitAsync(_patience.Token).ConfigureAwait(false);
                HasEnded = count == 0;
                _start.Advance(count);
            }
        }
        catch (Exception e)
        {
            _failure = Explain(e);
        }

        _response.Content = new ResponseContent(new(Start, HasEnded ? null : _rest, _failure), _original);
    }

    /// <summary>Lets the application read the start of the body, in any way and more than once, until <see cref="GiveBack"/>.</summary>
    public void ShowStart()
    {
        var shown = new ReadOnlyMemoryContent(Start);
        foreach (var (name, values) in _original.Headers.NonValidated)
        {
            if (!name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase))
            {
                shown.Headers.TryAddWithoutValidation(name, values);
            }
        }

        _response.Content = shown;
    }

    /// <summary>Gives the response a content again that is whole, and was not read.</summary>
    public void GiveBack() => _response.Content = new ResponseContent(new(Start, HasEnded ? null : _rest, _failure), _original);

    /// <summary>Reads the whole body into memory, as a client does, so that it can be read more than once.</summary>
    public async Task BufferAsync()
    {
        try
        {
            await _response.Content.LoadIntoBufferAsync(_patience.Token).WaitAsync(_patience.Token).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // The failure is for the reader of the content.
            _response.Content = new ResponseContent(new(default, null, Explain(e)), _original);
        }
    }

    /// <summary>The part of the response that is written down.</summary>
    /// <param name="length">How much of the body is kept.</param>
    /// <param name="copy">Copies the headers that are kept.</param>
    public StoredResponse Keep(int length, Func<HttpHeaders, IEnumerable<KeyValuePair<string, string>>> copy) => new(
        (int)_response.StatusCode,
        [
            .. copy(_response.Headers)
                .Concat(copy(_original.Headers))
                // A cookie is the client's to keep.
                .Where(static header => !header.Key.Equals("Set-Cookie", StringComparison.OrdinalIgnoreCase)),
        ],
        Start[..Math.Min(_start.WrittenCount, length)],
        HasEnded && _start.WrittenCount <= length);

    public void Dispose()
    {
        _registration.Dispose();
        _patience.Dispose();
    }

    private Exception Explain(Exception failure) =>
        IsTooSlow ? new TimeoutException("The body of the response did not come in its time.", failure) : failure;
}
