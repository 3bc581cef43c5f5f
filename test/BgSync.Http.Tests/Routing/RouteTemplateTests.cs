using BgSync.Http.Routing;
using Xunit;

namespace BgSync.Http.Tests.Routing;

public class RouteTemplateTests
{
    [Theory]
    [InlineData("", 0, "starts with \"/\"")]
    [InlineData("albums", 0, "starts with \"/\"")]
    [InlineData("https://api.example.com/albums", 0, "add a predicate")]
    [InlineData("//", 1, "is empty")]
    [InlineData("/albums//photos", 8, "Write one \"/\"")]
    [InlineData("/albums?page={page}", 1, "a whole segment")]
    [InlineData("/albums?page=1", 7, "Leave it out")]
    [InlineData("/albums#top", 7, "Leave it out")]
    [InlineData("/albums/*", 8, "{*rest}")]
    [InlineData("/albums\\photos", 7, "Write \"/\"")]
    [InlineData("/albums/../photos", 8, "that they lead to")]
    [InlineData("/albums/%2e", 8, "that they lead to")]
    [InlineData("/albums/{album", 8, "%7B")]
    [InlineData("/{a/b}", 1, "%7B")]
    [InlineData("/albums/album}", 13, "%7D")]
    [InlineData("/albums/}album{", 8, "%7D")]
    [InlineData("/photo-{id}", 1, "a whole segment")]
    [InlineData("/{id}.jpg", 1, "a whole segment")]
    [InlineData("/{{id}}", 1, "a whole segment")]
    [InlineData("/{a{b}", 1, "letters, digits")]
    [InlineData("/{}", 1, "Write {name}")]
    [InlineData("/{ id }", 1, "letters, digits")]
    [InlineData("/{*}", 1, "Write {name}")]
    [InlineData("/{?}", 1, "Write {name}")]
    [InlineData("/{***rest}", 1, "letters, digits")]
    [InlineData("/{id:int}", 4, "Write {id}, and look closer with a predicate")]
    [InlineData("/{id=1}", 4, "neither constraints nor defaults")]
    [InlineData("/{*rest?}", 1, "Write {*rest}")]
    [InlineData("/{id}/x/{ID}", 8, "another name")]
    [InlineData("/{id?}/x", 7, "Write {id}")]
    [InlineData("/{*rest}/{id}", 9, "Write {rest}")]
    public void A_malformed_template_says_where_and_what_to_write(string template, int position, string advice)
    {
        var failure = Assert.Throws<FormatException>(() => RouteTemplate.Parse(template));

        Assert.StartsWith($"Route template \"{template}\", position {position}: ", failure.Message, StringComparison.Ordinal);
        Assert.Contains(advice, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_template_is_a_list_of_segments()
    {
        Assert.Equal(
            [
                new RouteSegment(RouteSegmentKind.Literal, "caf%C3%A9%20noir"),
                new RouteSegment(RouteSegmentKind.Parameter, "a_b-1"),
                new RouteSegment(RouteSegmentKind.CatchAll, "rest"),
            ],
            RouteTemplate.Parse("/café noir/{a_b-1}/{**rest}/").Segments);
        Assert.Empty(RouteTemplate.Parse("/").Segments);
    }
}
