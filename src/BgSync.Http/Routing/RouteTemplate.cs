namespace BgSync.Http.Routing;

/// <summary>A path with parameters, parsed: <c>/albums/{album}/photos/{photo?}</c>.</summary>
internal sealed class RouteTemplate
{
    private RouteTemplate(RouteSegment[] segments) => Segments = segments;

    /// <summary>The template that matches every path.</summary>
    public static RouteTemplate Anything { get; } = Parse("/{*anything}");

    /// <summary>The segments in order; only the last one is optional or a catch-all.</summary>
    public RouteSegment[] Segments { get; }

    /// <summary>Parses a template.</summary>
    /// <exception cref="FormatException">It is malformed; the message says where, and what to write instead.</exception>
    public static RouteTemplate Parse(string template)
    {
        ArgumentNullException.ThrowIfNull(template);
        if (!template.StartsWith('/'))
        {
            throw Malformed(
                template, 0, "a template is a path and starts with \"/\". Write \"/albums\"; to choose by host, add a predicate");
        }

        // One trailing slash says nothing.
        var end = template.EndsWith('/') ? template.Length - 1 : template.Length;
        var segments = new List<RouteSegment>();
        for (var slash = 0; slash < end;)
        {
            var start = slash + 1;
            slash = template.IndexOf('/', start, end - start);
            slash = slash < 0 ? end : slash;
            if (segments is [.., { Kind: RouteSegmentKind.Optional or RouteSegmentKind.CatchAll } last])
            {
                throw Malformed(
                    template, start, $"nothing can follow \"{last.Text}\", which may be missing. Write {{{last.Text}}} for one segment");
            }

            var segment = ParseSegment(template, start, slash);
            if (segment.Kind != RouteSegmentKind.Literal && segments.Exists(other => IsSameParameter(other, segment)))
            {
                throw Malformed(template, start, $"there is a parameter \"{segment.Text}\" before. Write another name");
            }

            segments.Add(segment);
        }

        return new RouteTemplate([.. segments]);
    }

    private static RouteSegment ParseSegment(string template, int start, int end)
    {
        var text = template.AsSpan(start, end - start);
        if (text.IsEmpty)
        {
            throw Malformed(template, start, "the segment is empty. Write one \"/\" between segments");
        }

        return text.ContainsAny('{', '}')
            ? ParseParameter(template, start, text)
            : new RouteSegment(RouteSegmentKind.Literal, ParseLiteral(template, start, text));
    }

    private static RouteSegment ParseParameter(string template, int start, ReadOnlySpan<char> text)
    {
        var open = text.IndexOf('{');
        var close = text.IndexOf('}');
        if (close < 0)
        {
            throw Malformed(template, start + open, "the brace is not closed. Write {name}, or %7B for a brace in the path");
        }

        if (open < 0 || close < open)
        {
            throw Malformed(template, start + close, "the brace was not opened. Write {name}, or %7D for a brace in the path");
        }

        if (open > 0 || close < text.Length - 1)
        {
            throw Malformed(
                template, start, "a parameter takes a whole segment. Write {name} between two slashes, or look closer with a predicate");
        }

        var inner = text[1..^1];
        if (inner.IndexOfAny(':', '=') is >= 0 and var mark)
        {
            throw Malformed(
                template,
                start + 1 + mark,
                $"parameters have neither constraints nor defaults. Write {{{inner[..mark]}}}, and look closer with a predicate");
        }

        var catchAll = inner.StartsWith('*');
        var optional = inner.EndsWith('?');
        if (catchAll && optional)
        {
            throw Malformed(template, start, $"a catch-all may be empty anyway. Write {{{inner[..^1]}}}");
        }

        var name = optional ? inner[..^1] : inner[inner.StartsWith("**") ? 2.. : catchAll ? 1.. : 0..];
        if (name.IsEmpty || !IsName(name))
        {
            throw Malformed(template, start, "a parameter's name is made of letters, digits, \"_\" and \"-\". Write {name}");
        }

        var kind = catchAll ? RouteSegmentKind.CatchAll : optional ? RouteSegmentKind.Optional : RouteSegmentKind.Parameter;
        return new RouteSegment(kind, name.ToString());
    }

    private static string ParseLiteral(string template, int start, ReadOnlySpan<char> text)
    {
        if (text.IndexOfAny("?#*\\") is >= 0 and var mark)
        {
            throw Malformed(template, start + mark, text[mark] switch
            {
                '*' => "\"*\" is no wildcard. Write {name} for one segment, or {*rest} at the end for whatever follows",
                '\\' => "a path has no \"\\\". Write \"/\"",
                _ => "a template ends where the query or the fragment begins. Leave it out, and look at it with a predicate",
            });
        }

        // The form in which Uri gives a path: what can stand unescaped does, all else is escaped, dot segments are gone.
        var path = new Uri($"http://localhost/{text.ToString().Replace(" ", "%20", StringComparison.Ordinal)}").AbsolutePath;
        return path.Length > 1
            ? path[1..]
            : throw Malformed(template, start, "a request's path has no \".\" and \"..\" segments. Write the path that they lead to");
    }

    private static bool IsSameParameter(RouteSegment one, RouteSegment other) =>
        one.Kind != RouteSegmentKind.Literal && one.Text.Equals(other.Text, StringComparison.OrdinalIgnoreCase);

    private static bool IsName(ReadOnlySpan<char> name)
    {
        foreach (var character in name)
        {
            if (!char.IsLetterOrDigit(character) && character is not ('_' or '-'))
            {
                return false;
            }
        }

        return true;
    }

    private static FormatException Malformed(string template, int position, string reason) =>
        new($"Route template \"{template}\", position {position}: {reason}.");
}
