using BgSync.Http.Capture;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Capture;

/// <summary>An address is kept as text, and its target comes back byte for byte.</summary>
public sealed class RequestAddressTests
{
    private static readonly UriCreationOptions _raw = new() { DangerousDisablePathAndQueryCanonicalization = true };

    public static TheoryData<string> Paths =>
    [
        "", "/", "/a%2F..%2Fb/%2E%2E/c", "/a/../b/./c", "/a%2fB?x=%7E%41&y=a b", "/ł/ü?q=ä", "/a#frag", "/a?b#c?d", "?only=query", "/a//b\\c", "/a@b:c",
    ];

    [Theory]
    [MemberData(nameof(Paths))]
    public void The_target_comes_back_from_its_text(string path)
    {
        foreach (var uri in (Uri[])[new($"http://api.test:8080{path}"), new($"http://api.test:8080{path}", _raw)])
        {
            var back = RequestAddress.Parse(RequestAddress.Format(uri));
            Assert.Equal(uri.PathAndQuery, back.PathAndQuery);
            Assert.Equal(uri.Authority, back.Authority);
            Assert.Equal(RequestAddress.Format(uri), RequestAddress.Format(back));
        }
    }

    [Theory]
    [InlineData("http://api.test/a/../ł?x=%20y#z")]
    [InlineData("https://b\u00fccher.test/")]
    public void The_text_of_earlier_versions_is_read_and_still_written(string text)
    {
        Assert.Equal(new Uri(text), RequestAddress.Parse(text));
        Assert.Equal(text, RequestAddress.Format(new Uri(text)));
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public void Credentials_are_taken_out_of_the_text_and_nothing_else(string path)
    {
        foreach (var userInfo in (string[])["me:s3cret@", "me@", ":p@", "a%40b:c%2F@"])
        {
            foreach (var options in (UriCreationOptions[])[default, _raw])
            {
                var bare = RequestAddress.WithoutUserInfo(new Uri($"http://{userInfo}api.test:8080{path}", options));
                Assert.Equal(new Uri($"http://api.test:8080{path}", options).PathAndQuery, bare.PathAndQuery);
                Assert.Equal($"http://api.test:8080{path}", bare.OriginalString);
                Assert.Empty(bare.UserInfo);
            }
        }
    }

    [Theory]
    [InlineData("http://me:p@api.test/", true)]
    [InlineData("http://api.test/me:p@", false)]
    public void A_capture_knows_that_its_address_carries_credentials(string uri, bool expected)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, uri);
        Assert.Equal(expected, new RequestCapture(request, new HashSet<string>()).HasUserInfo);
    }

    [Fact]
    public async Task A_path_that_must_not_be_canonicalised_is_replayed_as_it_was()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.CloseAfterRequest(), Scripts.Respond(200)));
        await using var app = new TestApplication();
        var uri = new Uri($"{server.Uri}objects/a%2F..%2Fb/%2E%2E/c", _raw);

        await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.PostAsync(uri, new StringContent("order")));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(["/objects/a%2F..%2Fb/%2E%2E/c", "/objects/a%2F..%2Fb/%2E%2E/c"], server.Requests.Select(read => read.Target));
    }
}
