using System.Net;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using Microsoft.Data.Sqlite;
using Xunit;

namespace BgSync.Http.Tests.Workbox;

/// <summary>workbox-background-sync/sw/lib/test-StorableRequest.mjs: how a request is kept.</summary>
public sealed class StorableRequestTests : WorkboxFixture
{
    [Fact]
    public async Task No_57_A_request_is_kept_with_its_body_as_bytes()
    {
        await using var app = Open();
        using var request = Make();

        var id = await app.Queue.PushAsync(request);

        var kept = (await app.Queue.FindAsync(id))!;
        Assert.Equal((Api + "/foo", HttpMethod.Post), (kept.Request.Uri.AbsoluteUri, kept.Request.Method));
        Assert.Equal(["one", "two", "Idempotency-Key"], kept.Request.Headers.Select(header => header.Key));
        Assert.Equal(10, kept.BodyLength);
        Assert.Equal("it worked!"u8.ToArray(), await app.BodyOfAsync(id));
    }

    [Fact]
    public void No_58_A_snapshot_has_what_it_is_given()
    {
        var snapshot = new RequestSnapshot
        {
            Method = HttpMethod.Put,
            Uri = new(Api + "/foo"),
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Headers = [new("one", "1")],
            ContentHeaders = [new("Content-Type", "text/plain")],
        };

        Assert.Equal((HttpMethod.Put, Api + "/foo", Api), (snapshot.Method, snapshot.Uri.AbsoluteUri, snapshot.Origin));
        Assert.Equal((HttpVersion.Version20, HttpVersionPolicy.RequestVersionExact), (snapshot.Version, snapshot.VersionPolicy));
        Assert.Equal([new("one", "1")], snapshot.Headers);
        Assert.Equal([new("Content-Type", "text/plain")], snapshot.ContentHeaders);
    }

    [Fact]
    public async Task No_59_What_no_replay_can_use_is_taken_off()
    {
        // Workbox turns the mode of a navigation into another. Here it is what belongs to one connection.
        await using var app = Open();
        using var request = new HttpRequestMessage(HttpMethod.Put, "http://api.example.com/foo");
        request.Headers.TransferEncodingChunked = true;
        request.Headers.Connection.Add("keep-alive");
        request.Headers.Add("one", "1");

        await app.Queue.PushAsync(request);

        var kept = Assert.Single(await app.EntriesAsync()).Request;
        Assert.Equal(Api + "/foo", kept.Uri.AbsoluteUri);
        Assert.Equal([new("one", "1")], kept.Headers);
    }

    [Fact]
    public void No_60_A_snapshot_cannot_be_made_of_nothing() =>
        // The compiler sees to it.
        Assert.True(typeof(RequestSnapshot).IsDefined(typeof(RequiredMemberAttribute), inherit: false));

    [Fact]
    public void No_61_A_snapshot_cannot_be_made_without_an_address() =>
        Assert.True(
            typeof(RequestSnapshot).GetProperty(nameof(RequestSnapshot.Uri))!.IsDefined(typeof(RequiredMemberAttribute), inherit: false));

    [Fact]
    public async Task No_62_A_kept_request_is_plain_values_in_the_file()
    {
        await using var app = Open(sync => sync.IdempotencyKeyHeader = null);
        await app.Queue.PushAsync(Make());
        await using var connection = new SqliteConnection($"Data Source={app.Path};Pooling=False");
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = "SELECT method, uri, headers, content_headers, body, body_length FROM entry";

        await using var row = await command.ExecuteReaderAsync();

        Assert.True(await row.ReadAsync());
        Assert.Equal(("POST", Api + "/foo"), (row.GetString(0), row.GetString(1)));
        Assert.Contains("one", row.GetString(2), StringComparison.Ordinal);
        Assert.Contains("text/plain", row.GetString(3), StringComparison.Ordinal);
        Assert.Equal("it worked!"u8.ToArray(), row.GetFieldValue<byte[]>(4));
        Assert.Equal(10, row.GetInt64(5));
        Assert.False(await row.ReadAsync());
    }

    [Fact]
    public async Task No_63_A_kept_request_becomes_a_message_again()
    {
        await using var app = Open(sync => sync.IdempotencyKeyHeader = null);
        using var request = Make();
        request.Version = HttpVersion.Version20;
        request.VersionPolicy = HttpVersionPolicy.RequestVersionOrHigher;
        await app.Queue.PushAsync(request);

        using var taken = await app.Queue.ShiftAsync();

        var message = taken!.Request;
        Assert.Equal((Api + "/foo", HttpMethod.Post), (message.RequestUri!.AbsoluteUri, message.Method));
        Assert.Equal((HttpVersion.Version20, HttpVersionPolicy.RequestVersionOrHigher), (message.Version, message.VersionPolicy));
        Assert.Equal(["one: 1", "two: 2"], message.Headers.Select(header => $"{header.Key}: {string.Join(",", header.Value)}"));
        Assert.Equal(new MediaTypeHeaderValue("text/plain", "utf-8"), message.Content!.Headers.ContentType);
        Assert.Equal("it worked!", await message.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task No_64_A_kept_request_shares_nothing_with_the_one_that_it_was_made_of()
    {
        await using var app = Open();
        var bytes = "it worked!"u8.ToArray();
        using var request = new HttpRequestMessage(HttpMethod.Put, Api + "/foo") { Content = new ByteArrayContent(bytes) };
        request.Headers.Add("one", "1");
        var id = await app.Queue.PushAsync(request);

        request.Headers.Remove("one");
        request.RequestUri = new(Api + "/bar");
        bytes[0] = 0;
        request.Content.Headers.Add("Content-Language", "en");

        var kept = (await app.Queue.FindAsync(id))!;
        Assert.Equal(Api + "/foo", kept.Request.Uri.AbsoluteUri);
        Assert.Equal([new("one", "1")], kept.Request.Headers);
        Assert.Empty(kept.Request.ContentHeaders!);
        Assert.Equal("it worked!"u8.ToArray(), await app.BodyOfAsync(id));
        Assert.NotSame(kept.Request.Headers, (await app.Queue.FindAsync(id))!.Request.Headers);
    }

    private static HttpRequestMessage Make()
    {
        var request = Post("/foo", "it worked!");
        request.Headers.Add("one", "1");
        request.Headers.Add("two", "2");
        return request;
    }
}
