// Written by site.yml (role web). Run by nginx's njs.

// The address of a project's page, by its normalised name (PEP 503).
function normalised(request) {
    return request.uri.toLowerCase().replace(/[-_.]+/g, '-').replace(/\/?$/, '/');
}

export default { normalised };
